/* MQTT: the protocol of a line. libmosquitto speaks it, by those of its functions that do not wait. */
#ifndef MAYFLY_SERVICES_MQTT_H
#define MAYFLY_SERVICES_MQTT_H

#include "services/line.h"

/* Messages of guests: STORAGE_PUBLISH. A target's path is the interval in seconds after which either side asks whether
 * the other is there. */
extern const struct protocol mqtt_protocol;

#endif
