/* Certificates for tests: a root, an issuer that it signed, and one for localhost that the issuer signed; and keys,
 * which nothing but these tests ever used. Included once per program. */
#ifndef MAYFLY_TESTS_SUPPORT_IDENTITY_H
#define MAYFLY_TESTS_SUPPORT_IDENTITY_H

#define IDENTITY_ROOT                                                                                                  \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBUjCB+aADAgECAgEBMAoGCCqGSM49BAMCMBgxFjAUBgNVBAMMDXJvb3Qgb2Yg\n"                                               \
    "dGVzdHMwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBgxFjAUBgNV\n"                                               \
    "BAMMDXJvb3Qgb2YgdGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ7ypWa\n"                                               \
    "SKl6y73XV5HVg0Y8u+cUpfgp7qHArwpoQbfj5ywUwz6j4TTRjgZm44Nm5kpR/A7s\n"                                               \
    "EhPw/GP1yxNK3g0hozIwMDAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBRI8h5j\n"                                               \
    "62pep3FcEIkfFq+fWLemdDAKBggqhkjOPQQDAgNIADBFAiAGI3VpADMbLY6UHjST\n"                                               \
    "+We7L4nMR1Ovibu7BP082fRjjQIhAPxERMNzIuGuftG3xYLnoC+lunjJOPGYaI+I\n"                                               \
    "YWuz/rdJ\n"                                                                                                       \
    "-----END CERTIFICATE-----\n"
#define IDENTITY_ISSUER                                                                                                \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBgzCCASmgAwIBAgIBAjAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1yb290IG9m\n"                                               \
    "IHRlc3RzMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAaMRgwFgYD\n"                                               \
    "VQQDDA9pc3N1ZXIgb2YgdGVzdHMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASP\n"                                               \
    "Qi0uNeFdDv1goqhpxTNcJWhX1nvW0G77KHFoe0UrKQCKb47Rc7Ld2q0Oh6UH+ZYS\n"                                               \
    "H2orRjUKXWxTc1h6O8GVo2AwXjAPBgNVHRMBAf8EBTADAQH/MAsGA1UdDwQEAwIC\n"                                               \
    "BDAdBgNVHQ4EFgQUkUN91Ib7DmTAwEQTJUXpXpsGMx0wHwYDVR0jBBgwFoAUSPIe\n"                                               \
    "Y+tqXqdxXBCJHxavn1i3pnQwCgYIKoZIzj0EAwIDSAAwRQIhANoGlQvElhowpK6J\n"                                               \
    "L9Kjl3b0nGRNNAQUlwCZfdH7iS46AiA4AD3Ks5egX33ujolk+YMobQbuiU+ZZdcn\n"                                               \
    "zeedzR9HWw==\n"                                                                                                   \
    "-----END CERTIFICATE-----\n"
#define IDENTITY_OWN                                                                                                   \
    "-----BEGIN CERTIFICATE-----\n"                                                                                    \
    "MIIBdzCCAR2gAwIBAgIBAzAKBggqhkjOPQQDAjAaMRgwFgYDVQQDDA9pc3N1ZXIg\n"                                               \
    "b2YgdGVzdHMwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQ\n"                                               \
    "BgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABG5VaTb5\n"                                               \
    "e+x5V/+ZRsuIICbqlpTsI5hiI2EO3honSEY0fDdmBXRF+RZy67Km0ikoKhK5e6NI\n"                                               \
    "exCq1s22i43XrNqjWDBWMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAdBgNVHQ4EFgQU\n"                                               \
    "J3scHkMiC1nen7a1vpiHQtY8DjowHwYDVR0jBBgwFoAUkUN91Ib7DmTAwEQTJUXp\n"                                               \
    "XpsGMx0wCgYIKoZIzj0EAwIDSAAwRQIhAOwF28C5SUoW6snhMihE4vLa9/By1f1D\n"                                               \
    "UzZT5Nkupf1CAiA+dIz5JC5k76Ry8T/dueQgt1ZrGEOMMM8YZWsix2y2nQ==\n"                                                   \
    "-----END CERTIFICATE-----\n"
#define IDENTITY_KEY                                                                                                   \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJcs2IX4XNhVpvfyC\n"                                               \
    "XtVNM73FBtj/Wbupc2TBeljLzWahRANCAARuVWk2+XvseVf/mUbLiCAm6paU7COY\n"                                               \
    "YiNhDt4aJ0hGNHw3ZgV0RfkWcuuyptIpKCoSuXujSHsQqtbNtouN16za\n"                                                       \
    "-----END PRIVATE KEY-----\n"
/* of nobody: of the same kind, and of another (Ed25519); and the right one under a pass phrase */
#define IDENTITY_OTHER_KEY                                                                                             \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHpm92E9ddUST2wUf\n"                                               \
    "wQ0ZbWkz0huLYQgJV15UJ3ncBXihRANCAAT2kIuYFw/XUHVRUYF1GADQwk6VkQoG\n"                                               \
    "HmHnEpTD636lbKoCWvo8+HWAXe1hMfEL8v3aUrnFByS86V+XddphGSqr\n"                                                       \
    "-----END PRIVATE KEY-----\n"
#define IDENTITY_OTHER_KIND                                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                                    \
    "MC4CAQAwBQYDK2VwBCIEINOOGtc6m/Q7vT/KVTi+WofoV+BwxHnKBH3T9DmOLbNw\n"                                               \
    "-----END PRIVATE KEY-----\n"
#define IDENTITY_LOCKED_KEY                                                                                            \
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                                                                          \
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiBPoQQrkx5kQICCAAw\n"                                               \
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEELS2CufBmnBMz+UatkThNvwEgZBS\n"                                               \
    "lDx4RplnSmKz0clrBdRjXGz7dX6X6vNhLcTiukAPSJf04BPVVhkKkebacveLClrz\n"                                               \
    "+h4G51HCtK1wU3Ba/tYoUkQt78Yz9tG4YaUVFuw0xUDYHzDcBIXtIJY/nYWczegZ\n"                                               \
    "mzo4t4OVm6elAn/Mf1Y3DLzBEfygZ5ylMIS3PZrlpcZZsaXFI3O4xjc0+sUlwwc=\n"                                               \
    "-----END ENCRYPTED PRIVATE KEY-----\n"

#endif
