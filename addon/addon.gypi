{
  "variables": {
    "addon_name": "ovs_dpif",
    "addon_standard": "c++20",
    "addon_defines": [
      "NAPI_VERSION=9",
      "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED",
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
    ],
    "addon_warnings": ["-Wall", "-Wextra", "-Wpedantic"],
    "addon_socket_files": [
      "socket/dump.cc",
      "socket/exchange.cc",
      "socket/kernel.cc",
      "socket/listen.cc",
      "socket/message.cc",
      "socket/netlink_socket.cc",
      "socket/worker.cc"
    ],
    "addon_napi_files": [
      "napi/channel.cc",
      "napi/dump_object.cc",
      "napi/instance.cc",
      "napi/listener_object.cc",
      "napi/module.cc",
      "napi/socket_object.cc"
    ]
  }
}
