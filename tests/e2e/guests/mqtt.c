/* Sends messages to an MQTT broker, and answers with the outcome:
 *
 *     /ADDRESS/USER/PASSWORD/SECONDS/TOPIC/PAYLOAD/QOS[/TOPIC/PAYLOAD/QOS...]     in one connection
 */
#include "service.h"

#define MQTT "fermyon:spin/mqtt@2.0.0"

IMPORT(MQTT, "[static]connection.open")
void mqtt_open(text_t address, size_t size, text_t user, size_t user_size, text_t password, size_t password_size,
               int64_t interval, void *ret);
IMPORT(MQTT, "[method]connection.publish")
void mqtt_publish(int self, text_t topic, size_t size, text_t payload, size_t payload_size, int qos, void *ret);
IMPORT(MQTT, "[resource-drop]connection") void mqtt_drop(int self);

static bool is_error(const uint8_t *at)
{
    static const text_t names[] = {"invalid-address", "too-many-connections", "connection-failed", "other"};
    if (!ret[0])
        return false;
    status = 500;
    say(names[at[0]]);
    if (at[0] >= 2) {
        say(": ");
        say_string(at + 4);
    }
    say("\n");
    return true;
}

static void act(void)
{
    mqtt_open(WORD(0), WORD(1), WORD(2), number_of(3, 0), ret);
    if (is_error(ret + 4))
        return;
    int self = (int)word(ret + 4);
    for (size_t at = 4; at + 2 < count; at += 3) {
        mqtt_publish(self, WORD(at), WORD(at + 1), (int)number_of(at + 2, 0), ret);
        if (!is_error(ret + 4))
            say("done\n");
    }
    mqtt_drop(self);
}
