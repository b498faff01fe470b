// Faults that tests plant into a log, to show that they would be caught. Never used outside tests.
#pragma once

#include "store/log/log.h"

typedef enum LogPlant {
    LOG_PLANT_NONE,
    LOG_PLANT_ACK_BEFORE_SYNC,  // says durable, then writes
    LOG_PLANT_NO_SYNC,          // leaves out the fdatasync of a group
    LOG_PLANT_NO_FOLDER_SYNC,   // W2: the folder of a new segment is not synced
    LOG_PLANT_RETRY_SYNC,       // W8: believes the second fdatasync of the same file
    LOG_PLANT_TRIM_ALL,         // trims one segment too many
} LogPlant;

void log_plant(Log *log, LogPlant plant);
