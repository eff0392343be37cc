#include "core/base/parameters.h"
