/**
 * A self-signed certificate for localhost. For tests only: its key is here for everybody to read.
 */
import type { TlsIdentity } from "../../src/net/tls.ts";

export const TEST_TLS: TlsIdentity = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgb5+aR4OxvHvjYXVu
6z4ficLVFLIttR15yBgsxOM2zu+hRANCAATtQUYy1vK82Rm6xSvW7mWakT7qJrGO
nfQLY5Ansa1vash9WKBGQpcgMndLvEAyGHTq3CqRuZtcYtf836TGvwfh
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUJZtjnOetGI6YAP2po2vgNY8KR5kwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjIxMTAzNloYDzIxMjYxMDI5
MjExMDM2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATtQUYy1vK82Rm6xSvW7mWakT7qJrGOnfQLY5Ansa1vash9WKBGQpcg
MndLvEAyGHTq3CqRuZtcYtf836TGvwfho28wbTAdBgNVHQ4EFgQUolDTktVce7LD
ZuAu74BsR8zrEq0wHwYDVR0jBBgwFoAUolDTktVce7LDZuAu74BsR8zrEq0wDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAM3ys/g2npDHq+L7yveCovGK4+ibdij3NxPXnaAiJf3BAiEA
tzmPZno6RmV9ZeEp0gIleVtF0Shdq3ShhOaT7hI48ew=
-----END CERTIFICATE-----
`,
};
