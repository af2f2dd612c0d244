{
  "includes": ["addon/addon.gypi"],
  "targets": [
    {
      "target_name": "<(addon_name)",
      "sources": ["<@(addon_socket_files)", "<@(addon_napi_files)"],
      "include_dirs": ["addon", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["<@(addon_defines)"],
      "cflags": ["<@(addon_warnings)", "-fvisibility=hidden"],
      "cflags_cc!": ["-std=gnu++17"],
      "cflags_cc": ["-std=<(addon_standard)"],
      "libraries": ["-pthread"]
    }
  ]
}
