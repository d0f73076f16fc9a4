// Named by ProcessGroupGloo.hpp, none of it used by its declarations.
#pragma once
