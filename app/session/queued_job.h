// What a job needs so that it may run later, elsewhere in time and folder.
#pragma once

#include <string>

#include "app/session/job.h"

namespace attelier {

/// The job with every relative path made absolute: inputs, output folder, files and models in parameters.
Job with_absolute_paths(Job job);

/// One line for lists: the prompt, or the method and the names of its inputs.
std::string title_of(const Job& job);

/// How many pictures the job makes, and in how many batches.
int64_t pictures_of(const Json& params);
int64_t batches_of(const Json& params);

}  // namespace attelier
