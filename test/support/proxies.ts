/** nginx, haproxy and nghttpx with the configurations of examples/proxies, on ports of the test. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { onTestFinished, vi } from "vitest"
import { NODES } from "./broadcastCluster.ts"
import { freePorts, temporaryFolder } from "./processes.ts"
import { ROOT } from "./repo.ts"

export type ProxyName = "nginx" | "haproxy" | "nghttpx"
export const PROXIES: ReadonlyArray<ProxyName> = ["nginx", "haproxy", "nghttpx"]

interface Kind {
  readonly extension: string
  readonly packages: string
  readonly args: (folder: string, file: string) => ReadonlyArray<string>
  /** Told its main process to read the file again. */
  readonly reload: NodeJS.Signals
  /** Printed then; absent: it always heeds that signal. */
  readonly reloading?: string
}

const KINDS: { readonly [Name in ProxyName]: Kind } = {
  nginx: {
    extension: "conf",
    packages: "nginx-light",
    args: (folder, file) => {
      // Its workers may not enter the folders of this test as anybody else.
      const user = process.getuid?.() === 0 ? " user root;" : ""
      return ["-p", folder, "-c", file, "-e", "stderr", "-g", `daemon off;${user}`]
    },
    reload: "SIGHUP"
  },
  haproxy: {
    extension: "cfg",
    packages: "haproxy",
    args: (_, file) => ["-W", "-db", "-f", file],
    reload: "SIGUSR2",
    reloading: "Reloading HAProxy"
  },
  nghttpx: {
    extension: "conf",
    packages: "nghttp2-proxy",
    args: (_, file) => ["--conf", file],
    reload: "SIGHUP"
  }
}

/** Where Debian has programs of the system, which a user's PATH may leave out. */
const PATH = `${process.env["PATH"]}:/usr/sbin:/sbin`

const assertInstalled = (name: ProxyName): void => {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { env: { ...process.env, PATH } })
  } catch {
    throw new Error(`${name} is not installed; apt-get install ${KINDS[name].packages}`)
  }
}

/** Each pattern is replaced everywhere; the ports that a file names are replaced before. */
export type Changes = ReadonlyArray<readonly [RegExp | string, string]>

export interface ProxyOptions {
  readonly changes?: Changes
  /** Content by name. */
  readonly files?: { readonly [name: string]: string }
}
interface Prepared {
  readonly ports: ReadonlyMap<string, number>
  readonly config: string
  readonly folder: string
}

/** Where a configuration listens: `listen` of nginx, `bind` of haproxy, `frontend` of nghttpx. */
const FRONT = /^\s*(?:listen |bind |frontend=)([0-9.]+)[:,]([0-9]+)/gm
const PORT = /\b7[0-9]{3}\b/g

const onFreePorts = async (text: string) => {
  const named = [...new Set(text.replaceAll(/^\s*#.*$/gm, "").match(PORT))]
  const free = await freePorts(named.length)
  const ports = new Map(named.map((port, i) => [port, free[i]!]))
  return { text: text.replaceAll(PORT, (port) => String(ports.get(port) ?? port)), ports }
}

/** Stopped when the test ends. */
export class StockProxy {
  readonly #name: ProxyName
  readonly #folder: string
  #child: ChildProcess
  /** A port as the configuration has it, to the one that the test took. */
  readonly #ports: ReadonlyMap<string, number>
  /** `host:port` each. */
  readonly #fronts: ReadonlyArray<string>
  output = ""

  private constructor(name: ProxyName, { ports, config, folder }: Prepared) {
    this.#name = name
    this.#ports = ports
    this.#fronts = [...config.matchAll(FRONT)].map(([, host, port]) => `${host}:${port}`)
    this.#folder = folder
    this.#child = this.#spawn()
    onTestFinished(() => this.#kill())
  }

  /** examples/proxies/NAME-`variant`, changed, with `files` in the folder it finds them in. */
  static async start(
    name: ProxyName,
    variant: string,
    { changes = [], files = {} }: ProxyOptions = {}
  ): Promise<StockProxy> {
    assertInstalled(name)
    const path = join(ROOT, "examples/proxies", `${name}-${variant}.${KINDS[name].extension}`)
    const { text, ports } = await onFreePorts(readFileSync(path, "utf8"))
    const folder = temporaryFolder()
    mkdirSync(join(folder, "tmp"))
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content)
    let config = text.replaceAll("/etc/quorate", folder)
    for (const [from, to] of changes) {
      const changed = config.replaceAll(from, to)
      if (changed === config) throw new Error(`${path} has no ${from}`)
      config = changed
    }
    writeFileSync(join(folder, "proxy.conf"), config)
    const proxy = new StockProxy(name, { ports, config, folder })
    await proxy.#listens()
    return proxy
  }

  /** `host:port` that the configuration has as `port`. */
  address(port: number): string {
    const taken = this.#ports.get(String(port))
    return this.#fronts.find((front) => front.endsWith(`:${taken}`)) ?? `127.0.0.1:${taken}`
  }

  /** Of the four nodes: `base` + 1, `base` + 2 … */
  addresses(base: number): ReadonlyArray<string> {
    return NODES.map((id) => this.address(base + id))
  }

  async reload(): Promise<void> {
    const { reload, reloading = "" } = KINDS[this.#name]
    // haproxy's master loses a signal that comes right after its start.
    await vi.waitUntil(
      () => {
        this.#child.kill(reload)
        return this.output.includes(reloading)
      },
      { interval: 50, timeout: 5_000 }
    )
  }

  /** Ends at once, whatever it carries, and comes back. */
  async restart(): Promise<void> {
    await this.#kill()
    // Its workers may outlive it for a moment, with its ports.
    for (const front of this.#fronts) {
      await vi.waitUntil(async () => !(await isOpen(front)), { interval: 5, timeout: 5_000 })
    }
    this.#child = this.#spawn()
    await this.#listens()
  }

  #spawn(): ChildProcess {
    const folder = this.#folder
    const child = spawn(this.#name, KINDS[this.#name].args(folder, join(folder, "proxy.conf")), {
      cwd: folder,
      env: { ...process.env, PATH },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: all its processes end with it.
      detached: true
    })
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (text) => (this.output += text))
    }
    return child
  }

  async #listens(): Promise<void> {
    for (const front of this.#fronts) {
      const listens = vi.waitUntil(() => this.#child.exitCode !== null || isOpen(front), {
        interval: 10,
        timeout: 5_000
      })
      await listens.catch(() => false)
      if (!(await isOpen(front))) {
        throw new Error(`${this.#name} does not listen at ${front}: ${this.output}`)
      }
    }
  }

  #kill(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      if (exitCode === null && signalCode === null) this.#child.once("close", () => resolve())
      else resolve()
      try {
        process.kill(-pid, "SIGKILL")
      } catch {
        // All of it has ended.
      }
    })
  }
}

const isOpen = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const [host, port] = address.split(":")
    const socket = connect(Number(port), host)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

/** A second without a byte, and a stream is cut. */
export const IDLE_1S: { readonly [Name in ProxyName]: Changes } = {
  nginx: [
    [/(grpc_read_timeout|grpc_send_timeout|client_body_timeout|send_timeout) 1d;/g, "$1 1s;"]
  ],
  haproxy: [[/timeout (client|server) 1d/g, "timeout $1 1s"]],
  nghttpx: [
    ["timeout=24h", "timeout=1s"],
    // Streams of all clients share a session to the node, which the busy ones keep open.
    ["stream-write-timeout", "stream-read-timeout"]
  ]
}
