/** The processes and proxies of a soak; ended with it. */
import { type ChildProcess, fork } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { NodeGroup } from "quorate/platform-node"
import { freeAddresses } from "../../bench/cluster.ts"
import { FaultProxy } from "../../test/support/faultProxy.ts"
import type { Begin, FromWorker, ToWorker } from "./worker.ts"

const WORKER = fileURLToPath(new URL("./worker.ts", import.meta.url))
const ANSWER_MS_MAX = 60_000

type Answer<K extends FromWorker["kind"]> = Extract<FromWorker, { readonly kind: K }>

export class Worker {
  readonly name: string
  private readonly child: ChildProcess
  private readonly failed: (why: string) => void
  private readonly listeners = new Set<(message: FromWorker) => void>()
  private stopping = false

  constructor(name: string, failed: (why: string) => void) {
    this.name = name
    this.failed = failed
    this.child = fork(WORKER, [], {
      execArgv: ["--conditions=quorate-source", "--expose-gc"],
      stdio: ["ignore", "ignore", "pipe", "ipc"]
    })
    let said = ""
    this.child.stderr!.on("data", (text) => (said = `${said}${text}`.slice(-2_000)))
    this.child.on("message", (message: FromWorker) => {
      for (const listener of this.listeners) listener(message)
    })
    this.child.once("exit", (code, signal) => {
      if (!this.stopping) this.failed(`${name} ended (${signal ?? code}): ${said}`)
    })
  }

  on(listener: (message: FromWorker) => void): void {
    this.listeners.add(listener)
  }

  tell(message: ToWorker): void {
    if (this.child.connected) this.child.send(message)
  }

  ask<K extends FromWorker["kind"]>(message: ToWorker, kind: K): Promise<Answer<K>> {
    return new Promise((resolve) => {
      const late = (): void => this.failed(`${this.name} does not answer "${message.kind}"`)
      const timer = setTimeout(late, ANSWER_MS_MAX)
      const listener = (answer: FromWorker): void => {
        if (answer.kind !== kind) return
        clearTimeout(timer)
        this.listeners.delete(listener)
        resolve(answer as Answer<K>)
      }
      this.listeners.add(listener)
      this.tell(message)
    })
  }

  stop(): Promise<void> {
    this.stopping = true
    if (this.child.exitCode !== null || this.child.signalCode !== null) return Promise.resolve()
    return new Promise((ended) => {
      this.child.once("exit", () => ended())
      this.child.kill("SIGKILL")
    })
  }
}

export interface ClusterOptions {
  readonly nodes: number
  readonly calls: number
  readonly open: number
  readonly seed: number
  readonly transport: "link" | "unary" | "unary-alone"
  readonly links: "plaintext" | "authenticated" | "encrypted"
  readonly durable: boolean
}

export interface Cluster {
  readonly nodes: ReadonlyArray<Worker>
  readonly client: Worker
  readonly proxies: ReadonlyArray<FaultProxy>
  /** The client begins to call. */
  readonly load: () => Promise<unknown>
  readonly stop: () => Promise<void>
}

/** Every process has a group file of its own: it reaches each node by a proxy that is its alone. */
export const startCluster = async (
  { nodes: count, calls, open, seed, transport, links, durable }: ClusterOptions,
  failed: (why: string) => void
): Promise<Cluster> => {
  const folder = await mkdtemp(join(tmpdir(), "quorate-soak-"))
  const targets = await freeAddresses(count)
  const keys = targets.map(() => NodeGroup.generateKey())
  const proxies: Array<FaultProxy> = []
  const workers: Array<Worker> = []
  const stop = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.stop()))
    await Promise.all(proxies.map((proxy) => proxy.close()))
    await rm(folder, { recursive: true, force: true })
  }
  const proxied = async (target: string): Promise<string> => {
    const proxy = await FaultProxy.open({ target, seed: seed * 1_000 + proxies.length })
    proxies.push(proxy)
    return proxy.address
  }
  const fileOf = async (name: string, self: number): Promise<string> => {
    const nodes = []
    for (const [i, target] of targets.entries()) {
      const id = i + 1
      const address = id === self ? target : await proxied(target)
      nodes.push({ id, address, ...(links !== "plaintext" && { key: keys[i]!.publicKey }) })
    }
    const path = join(folder, `${name}.json`)
    const group = { ...shape, nodes }
    await writeFile(path, JSON.stringify(group))
    return path
  }
  const start = async (name: string, begin: Begin): Promise<Worker> => {
    const worker = new Worker(name, failed)
    workers.push(worker)
    await worker.ask(begin, "ready")
    return worker
  }
  const shape = {
    ...{ group: "soak", faults: "byzantine", durable, links },
    transport: transport === "unary-alone" ? "unary" : "link"
  }
  const begin = { kind: "begin", calls } as const
  const nodes = await Promise.all(
    targets.map(async (listen, i) => {
      const id = i + 1
      const file = await fileOf(`node-${id}`, id)
      const key = join(folder, `node-${id}.pem`)
      await writeFile(key, keys[i]!.privateKey)
      const dataFolder = durable ? join(folder, `data-${id}`) : undefined
      const own = { key: links === "plaintext" ? undefined : key, dataFolder }
      return start(`node ${id}`, { ...begin, file, role: { kind: "node", id, listen, ...own } })
    })
  )
  // Where nodes speak by unary calls the client does so by itself, if it can.
  const calling = transport === "unary-alone" ? {} : { transport }
  const file = await fileOf("client", 0)
  const client = new Worker("client", failed)
  workers.push(client)
  const load = (): Promise<unknown> =>
    client.ask({ ...begin, file, role: { kind: "client", open, ...calling } }, "ready")
  return { nodes, client, proxies, load, stop }
}
