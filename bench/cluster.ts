/** A run with processes: nodes on free loopback ports and a client, measured, then ended by pid. */
import { type ChildProcess, fork } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { ClusterBench, Measured, Settings } from "./Bench.ts"
import type { Usage } from "./usage.ts"
import type { FromWorker, ToWorker } from "./worker.ts"

const START_MS_MAX = 30_000
const STOP_MS_MAX = 3_000
const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url))

type Answer<K extends FromWorker["kind"]> = Extract<FromWorker, { readonly kind: K }>

class Worker {
  private readonly name: string
  private readonly child: ChildProcess
  private readonly exited: Promise<void>
  private waiting: { kind: string; resolve: (m: any) => void; reject: (e: Error) => void }[] = []
  private why: Error | undefined

  constructor(name: string, profileFolder: string | undefined) {
    this.name = name
    const profile =
      profileFolder === undefined
        ? []
        : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${name}.cpuprofile`]
    this.child = fork(WORKER, [], {
      execArgv: [...process.execArgv, ...profile],
      // Results go to standard output: nothing a node prints may stand between them.
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
    this.child.on("message", (message: FromWorker) => this.heard(message))
    this.exited = new Promise((resolve) => {
      this.child.once("exit", (code, signal) => {
        this.fail(`ended early (${signal ?? `exit code ${code}`})`)
        resolve()
      })
      this.child.once("error", (error) => {
        this.fail(error.message)
        resolve()
      })
    })
  }

  /** Sends `message` and waits for an answer of `kind`. */
  ask<K extends FromWorker["kind"]>(message: ToWorker, kind: K, msMax: number): Promise<Answer<K>> {
    if (this.why !== undefined) return Promise.reject(this.why)
    return new Promise((resolve, reject) => {
      const late = () => this.fail(`did not answer "${message.kind}" within ${msMax} ms`)
      const timer = setTimeout(late, msMax)
      const settle = (settled: (value: any) => void) => (value: any) => {
        clearTimeout(timer)
        settled(value)
      }
      this.waiting.push({ kind, resolve: settle(resolve), reject: settle(reject) })
      this.child.send(message)
    })
  }

  /** An orderly end, so that a profile is written; at the latest after `STOP_MS_MAX` a kill. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.child.kill("SIGKILL"), STOP_MS_MAX)
    if (this.child.connected) this.child.send({ kind: "stop" } satisfies ToWorker)
    else this.child.kill("SIGKILL")
    await this.exited
    clearTimeout(timer)
  }

  private heard(message: FromWorker): void {
    if (message.kind === "failed") return this.fail(message.why)
    const index = this.waiting.findIndex(({ kind }) => kind === message.kind)
    const [answered] = index < 0 ? [] : this.waiting.splice(index, 1)
    answered?.resolve(message)
  }

  private fail(why: string): void {
    this.why ??= new Error(`${this.name}: ${why}`)
    for (const { reject } of this.waiting.splice(0)) reject(this.why)
  }
}

/** Ports that were free a moment ago. */
export const freeAddresses = async (count: number): Promise<ReadonlyArray<string>> => {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(0, "127.0.0.1", resolve)
      })
      return server
    })
  )
  return Promise.all(
    servers.map(async (server) => {
      const { port } = server.address() as AddressInfo
      await new Promise((resolve) => server.close(resolve))
      return `127.0.0.1:${port}`
    })
  )
}

const sum = (usages: ReadonlyArray<Usage>, field: keyof Usage): number =>
  usages.reduce((total, usage) => total + usage[field], 0)

export interface RunOptions {
  readonly profileFolder: string | undefined
  /** Ends the run early. */
  readonly signal: AbortSignal
}

/** @throws where a process fails, does not answer, or the run is ended; no process is left then */
export const runCluster = async (
  bench: ClusterBench,
  settings: Settings,
  { profileFolder, signal }: RunOptions
): Promise<Measured> => {
  const folder = await mkdtemp(join(tmpdir(), "quorate-bench-"))
  const workers: Array<Worker> = []
  const start = (name: string): Worker => {
    signal.throwIfAborted()
    const worker = new Worker(name, profileFolder)
    workers.unshift(worker)
    return worker
  }
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason))
  })
  try {
    return await Promise.race([ended, runIn(folder, bench, settings, start)])
  } finally {
    // The client first, it started last: nodes that go before it would make its last calls fail.
    const [client, ...nodes] = workers
    await client?.stop()
    await Promise.all(nodes.map((node) => node.stop()))
    await rm(folder, { recursive: true, force: true })
  }
}

const runIn = async (
  folder: string,
  bench: ClusterBench,
  settings: Settings,
  start: (name: string) => Worker
): Promise<Measured> => {
  const given = { ...settings, addresses: await freeAddresses(settings.nodes), folder }
  await bench.prepare?.(given)
  const nodes = Array.from({ length: settings.nodes }, (_, i) => start(`node-${i + 1}`))
  await Promise.all(
    nodes.map((node, i) =>
      node.ask({ kind: "begin", id: i + 1, settings: given }, "ready", START_MS_MAX)
    )
  )
  const client = start("client")
  const warmMsMax = settings.warmupSeconds * 1000 + START_MS_MAX
  await client.ask({ kind: "begin", id: 0, settings: given }, "ready", warmMsMax)
  return measure(settings, client, nodes)
}

const measure = async (
  settings: Settings,
  client: Worker,
  nodes: ReadonlyArray<Worker>
): Promise<Measured> => {
  const usages = () =>
    Promise.all([client, ...nodes].map((w) => w.ask({ kind: "usage" }, "usage", START_MS_MAX)))
  const before = usages()
  const measureMsMax = settings.seconds * 1000 + START_MS_MAX
  const measured = await client.ask({ kind: "measure" }, "measured", measureMsMax)
  const [clientBefore, ...nodesBefore] = await before
  const [clientAfter, ...nodesAfter] = await usages()
  const { kind: _, ...found } = measured
  return {
    ...found,
    cpuUs: {
      client: clientAfter!.cpuUs - clientBefore!.cpuUs,
      nodes: sum(nodesAfter, "cpuUs") - sum(nodesBefore, "cpuUs")
    },
    rssBytes: clientAfter!.rssBytes + sum(nodesAfter, "rssBytes")
  }
}
