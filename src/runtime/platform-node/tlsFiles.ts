/** Files of keys and certificates: read and checked when the program starts, not when one dials. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { Effect } from "effect"
import { GroupInvalid } from "../Errors.ts"
import { systemErrorText } from "./systemError.ts"
import type { DialTls, ListenTls } from "./tls.ts"

/** Files in PEM of a side that dials nodes with TLS; their addresses have `"tls": true`. */
export interface DialTlsFiles {
  /** Authorities whose certificates it takes; absent: those that Node.js comes with. */
  readonly ca?: string
  /** What it shows where nodes, or proxies before them, ask for a client's certificate. */
  readonly cert?: string
  readonly key?: string
  /** The name that certificates must be for; default: the host of the node's address. */
  readonly serverName?: string
}

/** Files in PEM of a node that is dialled with TLS, where no proxy ends it. */
export interface ListenTlsFiles {
  /** The node's certificate, then those between it and the authority. */
  readonly cert: string
  readonly key: string
  /** Mutual TLS: whoever dials must show a certificate of these authorities. */
  readonly clientCa?: string
}

export const readDialTls = (files: DialTlsFiles): Effect.Effect<DialTls, GroupInvalid> =>
  checked(() => {
    const { ca, cert, key, serverName } = files
    if ((cert === undefined) !== (key === undefined)) {
      const [there, missing] = cert === undefined ? ["key", "cert"] : ["cert", "key"]
      throw new Wrong("tls", `it has "${there}" and no "${missing}"`, "give both, or none")
    }
    return {
      ...(ca !== undefined && { ca: authorities(ca) }),
      ...(cert !== undefined && pair(cert, key!)),
      ...(serverName !== undefined && { serverName })
    }
  })

export const readListenTls = (files: ListenTlsFiles): Effect.Effect<ListenTls, GroupInvalid> =>
  checked(() => ({
    ...pair(files.cert, files.key),
    ...(files.clientCa !== undefined && { clientCa: authorities(files.clientCa) })
  }))

/** Thrown inside this file only. */
class Wrong {
  readonly invalid: GroupInvalid
  constructor(where: string, what: string, remedy: string) {
    this.invalid = new GroupInvalid({ where, what, remedy })
  }
}

const checked = <A>(read: () => A): Effect.Effect<A, GroupInvalid> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(read())
    } catch (wrong) {
      if (wrong instanceof Wrong) return Effect.fail(wrong.invalid)
      throw wrong
    }
  })

const textOf = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    const what = `it cannot be read: ${systemErrorText(error)}`
    throw new Wrong(resolve(path), what, "name a file in PEM")
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

const certificates = (path: string, pem: string): ReadonlyArray<X509Certificate> => {
  try {
    const found = pem.match(CERTIFICATE)?.map((text) => new X509Certificate(text))
    if (found !== undefined) return found
  } catch {
    // As where there is none.
  }
  throw new Wrong(resolve(path), "it holds no certificate in PEM", "name the certificate's file")
}

const authorities = (path: string): string => {
  const pem = textOf(path)
  certificates(path, pem)
  return pem
}

const pair = (
  certPath: string,
  keyPath: string
): { readonly cert: string; readonly key: string } => {
  const cert = textOf(certPath)
  const [own] = certificates(certPath, cert)
  const key = textOf(keyPath)
  let matches: boolean
  try {
    matches = own!.checkPrivateKey(createPrivateKey(key))
  } catch {
    throw new Wrong(resolve(keyPath), "it holds no private key in PEM", "name the key's file")
  }
  if (!matches) {
    const what = `it is not the key of the certificate in ${resolve(certPath)}`
    throw new Wrong(resolve(keyPath), what, "name the two files of one certificate")
  }
  const now = Date.now()
  if (Date.parse(own!.validTo) < now) {
    throw new Wrong(resolve(certPath), `it expired on ${own!.validTo}`, "renew it")
  }
  if (Date.parse(own!.validFrom) > now) {
    const what = `it is not valid before ${own!.validFrom}`
    throw new Wrong(resolve(certPath), what, "compare the clocks")
  }
  return { cert, key }
}
