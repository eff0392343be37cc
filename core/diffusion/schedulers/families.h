// One constructor per scheduler class; make_scheduler chooses among them.
#pragma once

#include <memory>

#include "core/diffusion/scheduler.h"
#include "core/diffusion/schedulers/scheduler_config.h"

namespace attelier {

std::unique_ptr<Scheduler> make_ddim(const SchedulerConfig& config);             // DDIMScheduler
std::unique_ptr<Scheduler> make_ddim_inverse(const SchedulerConfig& config);     // DDIMInverseScheduler
std::unique_ptr<Scheduler> make_ddpm(const SchedulerConfig& config);             // DDPMScheduler
std::unique_ptr<Scheduler> make_pndm(const SchedulerConfig& config);             // PNDMScheduler
std::unique_ptr<Scheduler> make_lcm(const SchedulerConfig& config);              // LCMScheduler
std::unique_ptr<Scheduler> make_euler(const SchedulerConfig& config);            // EulerDiscreteScheduler
std::unique_ptr<Scheduler> make_euler_ancestral(const SchedulerConfig& config);  // EulerAncestralDiscreteScheduler
std::unique_ptr<Scheduler> make_heun(const SchedulerConfig& config);             // HeunDiscreteScheduler
std::unique_ptr<Scheduler> make_lms(const SchedulerConfig& config);              // LMSDiscreteScheduler
std::unique_ptr<Scheduler> make_dpm_solver(const SchedulerConfig& config);       // DPMSolverMultistepScheduler
std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config);            // UniPCMultistepScheduler

}  // namespace attelier
