/** Authorities and certificates of tests, made by openssl, good for two days or expired. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CarrierOptions } from "../../src/runtime/platform-node/connectCarrier.ts"

export interface Certificate {
  /** Files. */
  readonly cert: string
  readonly key: string
  /** What is in them. */
  readonly pem: { readonly cert: string; readonly key: string }
}

/** In a folder of its own, which is removed when the process ends. */
class Authority {
  readonly folder: string
  readonly file: string
  readonly pem: string

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "quorate-tls-"))
    process.once("exit", () => rmSync(this.folder, { recursive: true, force: true }))
    this.file = join(this.folder, "ca.pem")
    this.#openssl("req", "-x509", ...NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", ...name("ca"))
    this.pem = readFileSync(this.file, "utf8")
  }

  /** For `names`, as openssl writes them: `IP:127.0.0.1`, `DNS:localhost`. */
  issue(names = "IP:127.0.0.1,DNS:localhost", days = 2): Certificate {
    const id = `c${++count}`
    this.#openssl("req", ...NEW_KEY, "-keyout", `${id}.key`, "-out", `${id}.csr`, ...name(id))
    writeFileSync(join(this.folder, "names"), `subjectAltName=${names}`)
    const from = ["-in", `${id}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    const to = ["-out", `${id}.pem`, "-days", String(days), "-extfile", "names"]
    this.#openssl("x509", "-req", ...from, ...to)
    const cert = join(this.folder, `${id}.pem`)
    const key = join(this.folder, `${id}.key`)
    return { cert, key, pem: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") } }
  }

  #openssl(...args: ReadonlyArray<string>): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: "pipe" })
  }
}
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
const name = (text: string): ReadonlyArray<string> => ["-subj", `/CN=${text}`]
let count = 0

export const makeAuthority = (): Authority => new Authority()

let known: { readonly authority: Authority; readonly certificate: Certificate } | undefined
/** One authority and one certificate for 127.0.0.1, made once in a process. */
export const testCertificate = () => {
  if (known === undefined) {
    const authority = makeAuthority()
    known = { authority, certificate: authority.issue() }
  }
  return known
}

/** Mutual TLS with that certificate at both ends. */
export const carrierTls = (): CarrierOptions => {
  const { authority, certificate } = testCertificate()
  return {
    dial: { ca: authority.pem, ...certificate.pem },
    listen: { clientCa: authority.pem, ...certificate.pem }
  }
}
