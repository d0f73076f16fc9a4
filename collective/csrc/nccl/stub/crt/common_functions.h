// Functions for code on the device, of which the plugin has none.
#pragma once
