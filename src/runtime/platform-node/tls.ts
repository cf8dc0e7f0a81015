/**
 * TLS of the carrier: secrecy on the way, up to where it ends, which may be a proxy. It names
 * nobody to the group: who a host is, the handshake of the link shows, whatever carried it.
 */
import type { Http2Server, SecureServerOptions } from "node:http2"
import { isIP } from "node:net"
import type { ConnectionOptions, TLSSocket } from "node:tls"

/** Of a side that dials, in PEM. */
export interface DialTls {
  /** Authorities whose certificates it takes; absent: those that Node.js comes with. */
  readonly ca?: string
  /** What it shows where a client certificate is asked for. */
  readonly cert?: string
  readonly key?: string
  /** The name that the other side's certificate must be for; absent: the host of the address. */
  readonly serverName?: string
}
/** Of a side that listens, in PEM. */
export interface ListenTls {
  readonly cert: string
  readonly key: string
  /** Mutual TLS: whoever dials must show a certificate of these authorities. */
  readonly clientCa?: string
}

/** Whether an address, as a group has it, is dialled with TLS. */
export const isSecure = (address: string): boolean => address.startsWith("https://")

/**
 * Nothing below TLS 1.3: every one of its suites is sound and has forward secrecy, so there is
 * nothing to configure, a client's certificate is not shown to who listens on the way, and what
 * stands between hosts (Debian's nginx, haproxy and nghttpx, every gRPC library) speaks it.
 */
const MIN_VERSION = "TLSv1.3"
const ALPN = "h2"

export const dialOptions = (host: string, port: number, tls: DialTls): ConnectionOptions => {
  const { serverName, ca, cert, key } = tls
  // RFC 6066: an address is no server name; certificates are checked for it all the same.
  const servername = serverName ?? (isIP(host) === 0 ? host : undefined)
  return {
    host,
    port,
    minVersion: MIN_VERSION,
    ALPNProtocols: [ALPN],
    ...(servername !== undefined && { servername }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert, key })
  }
}

export const serverOptions = (
  { cert, key, clientCa }: ListenTls,
  timeoutMs: number
): SecureServerOptions => ({
  cert,
  key,
  minVersion: MIN_VERSION,
  ALPNProtocols: [ALPN],
  handshakeTimeout: timeoutMs,
  unknownProtocolTimeout: timeoutMs,
  ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true })
})

/** Tells of handshakes that fail; not of those that end without a word, as health checks do. */
export const onHandshakeFailure = (
  server: Http2Server,
  told: (remote: string, what: string) => void
): void => {
  server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    // Node tells why it refused a client's certificate, and then that the connection is gone.
    const refused: unknown = socket.authorizationError
    const code = typeof refused === "string" ? refused : codeOf(error)
    if (code === "ECONNRESET" || code === "EPIPE") return
    told(`${socket.remoteAddress}:${socket.remotePort}`, LISTENER[code] ?? plain(error.message))
  })
  server.on("unknownProtocol", (socket: TLSSocket) => {
    told(
      `${socket.remoteAddress}:${socket.remotePort}`,
      LISTENER["ERR_SSL_NO_APPLICATION_PROTOCOL"]!
    )
  })
}

/** For who dialled: what TLS found wrong, and what to do; `undefined`: it was not TLS. */
export const dialFailureText = (error: unknown): string | undefined => {
  if (codeOf(error) !== "ERR_TLS_CERT_ALTNAME_INVALID") {
    const code = codeOf(error)
    if (code in DIALLER) return DIALLER[code]
    return code.startsWith("ERR_SSL_") ? `TLS: ${plain((error as Error).message)}` : undefined
  }
  const { host, cert } = error as { host?: string; cert?: { subjectaltname?: string } }
  // The other side wrote these.
  const names = cert?.subjectaltname?.slice(0, 200) ?? "no name"
  return `its certificate is for ${names} and not for ${host}; name one of these with serverName`
}

/** Connected, and gone before HTTP/2 began. */
export const unbegunText = (secure: boolean): string =>
  secure
    ? "it ended the connection after TLS: it may not accept this side's certificate"
    : 'it ended the connection before HTTP/2 began: it may want TLS ("tls": true in the group file)'

export const NO_HTTP2 = 'it speaks TLS and no HTTP/2: let it offer "h2" (ALPN)'

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : ""

/** `wrong version number` of OpenSSL's `405D…:error:0A00010B:SSL routines:f:wrong version …`. */
const plain = (message: string): string =>
  /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? message.trim()

const UNKNOWN = "no authority that this side knows issued its certificate"
const UNKNOWN_CA = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE"
]
const NO_TLS = ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"]
const OLD = ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL"]
const REFUSED = [
  "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE",
  "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN",
  "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR"
]
const all = (codes: ReadonlyArray<string>, text: string) =>
  Object.fromEntries(codes.map((code) => [code, text]))

const DIALLER: { readonly [code: string]: string } = {
  ...all(UNKNOWN_CA, `${UNKNOWN}; give this side the file of that authority (tls.ca)`),
  ...all(NO_TLS, 'it speaks no TLS; leave out "tls" in the group file, or give it a certificate'),
  ...all(OLD, "it speaks no TLS 1.3; allow it there"),
  ...all(REFUSED, "it refuses this side's certificate; have it issued by an authority it knows"),
  CERT_HAS_EXPIRED: "its certificate has expired; renew it there",
  CERT_NOT_YET_VALID: "its certificate is not valid yet; compare the clocks",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    "it asks for a certificate of this side; give this side one (tls.cert and tls.key)",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "this side's certificate has expired; renew it",
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: NO_HTTP2
}
const LISTENER: { readonly [code: string]: string } = {
  ...all(UNKNOWN_CA, `TLS: ${UNKNOWN}; name that authority in clientCa, or issue another`),
  ...all(NO_TLS, 'it spoke no TLS; is "tls": true missing in its group file?'),
  ...all(OLD, "it speaks no TLS 1.3; allow it there"),
  ...all(REFUSED, "it refuses this node's certificate; give it the authority's file (tls.ca)"),
  CERT_HAS_EXPIRED: "TLS: its certificate has expired; renew it there",
  CERT_NOT_YET_VALID: "TLS: its certificate is not valid yet; compare the clocks",
  ERR_SSL_HTTP_REQUEST: 'it spoke no TLS; is "tls": true missing in its group file?',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "TLS: it showed no certificate; give it one",
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'it offered no HTTP/2; let it offer "h2" (ALPN)',
  ERR_TLS_HANDSHAKE_TIMEOUT: "it did not finish TLS in time"
}
