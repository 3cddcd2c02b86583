/* The web console's files as embedded at build time: "index.html", "app.js", "app.css", "icon.svg". Empty (only the end
 * mark) in a build without the console. */
#ifndef LM_CLOUD_CONSOLE_FILES_H
#define LM_CLOUD_CONSOLE_FILES_H

#include "base/asset.h"

extern const lm_asset lm_console_files[];

#endif
