#include "napi/instance.h"

#include <utility>

namespace ovs_dpif {

bool Instance::install(Napi::Env env) {
  auto instance = std::make_shared<Instance>();
  instance->env_ = env;
  const Napi::String name = Napi::String::New(env, "dpif-hw-acc");
  napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                                       instance.get(), settle, &instance->to_javascript_);
  // An idle socket must not keep a program from ending.
  if (status == napi_ok) status = napi_unref_threadsafe_function(env, instance->to_javascript_);
  if (status == napi_ok) status = napi_add_env_cleanup_hook(env, end, instance.get());
  if (status != napi_ok) {
    Napi::Error::New(env, "cannot set up the threads of dpif-hw-acc").ThrowAsJavaScriptException();
    return false;
  }
  env.SetInstanceData(new std::shared_ptr<Instance>(std::move(instance)));
  return true;
}

std::shared_ptr<Instance> Instance::of(Napi::Env env) { return *env.GetInstanceData<std::shared_ptr<Instance>>(); }

std::unique_ptr<Worker> Instance::hire() {
  std::unique_ptr<Worker> worker;
  if (spare_.empty()) {
    worker = std::make_unique<Worker>([this](std::unique_ptr<Task> task) { deliver(std::move(task)); });
  } else {
    worker = std::move(spare_.back());
    spare_.pop_back();
  }
  hired_.insert(worker.get());
  return worker;
}

void Instance::dismiss(std::unique_ptr<Worker> worker) {
  hired_.erase(worker.get());
  if (!ended_ && spare_.size() < kMostSpare) spare_.push_back(std::move(worker));
}

void Instance::expect() {
  if (under_way_++ == 0) napi_ref_threadsafe_function(env_, to_javascript_);
}

void Instance::deliver(std::unique_ptr<Task> task) {
  const napi_status status =
      napi_call_threadsafe_function(to_javascript_, static_cast<NapiTask*>(task.get()), napi_tsfn_nonblocking);
  // Without a way back to its thread a task cannot be destroyed either. Either way it is no longer ours.
  static_cast<void>(status);
  static_cast<void>(task.release());
}

void Instance::settle(napi_env env, napi_value, void* context, void* data) {
  const std::unique_ptr<NapiTask> task(static_cast<NapiTask*>(data));
  // The environment has ended and nobody is left to be told.
  if (env == nullptr) return;
  auto* instance = static_cast<Instance*>(context);
  if (--instance->under_way_ == 0) napi_unref_threadsafe_function(env, instance->to_javascript_);
  task->settle(env);
}

void Instance::end(void* context) {
  auto* instance = static_cast<Instance*>(context);
  instance->ended_ = true;
  instance->spare_.clear();
  for (Worker* worker : instance->hired_) worker->stop();
}

}  // namespace ovs_dpif
