/** A few replicas as processes of their own, on free loopback ports: what `npm start` runs on. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Data, Effect, type Scope } from "effect"

/** The replicas could not be started; `what` is what the first of them said. */
export class ReplicasFailed extends Data.TaggedError("ReplicasFailed")<{ readonly what: string }> {
  override get message(): string {
    return this.what
  }
}

export interface Replicas {
  readonly groupFile: string
  readonly processes: ReadonlyArray<ChildProcess>
}

const SERVER = fileURLToPath(new URL("server.ts", import.meta.url))
/** A port that was free may be taken before its replica listens on it. */
const ATTEMPTS_MAX = 5
const STOP_MS_MAX = 2_000

/** Starts `count` replicas with data under `folder`; they stop with the scope. */
export const startReplicas = (
  folder: string,
  count: number
): Effect.Effect<Replicas, ReplicasFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => startSomewhere(folder, count),
      catch: (cause) =>
        new ReplicasFailed({ what: cause instanceof Error ? cause.message : String(cause) })
    }),
    ({ processes }) => Effect.promise(() => stopAll(processes))
  )

const startSomewhere = async (folder: string, count: number): Promise<Replicas> => {
  for (let attempt = 1; ; attempt++) {
    const place = join(folder, `try-${attempt}`)
    const groupFile = await writeGroup(place, count)
    const processes = Array.from({ length: count }, (_, i) => start(groupFile, place, i + 1))
    const started = await Promise.allSettled(processes.map(startLine))
    const refused = started.find((result) => result.status === "rejected")
    if (refused === undefined) return { groupFile, processes }
    await stopAll(processes)
    if (attempt === ATTEMPTS_MAX) throw refused.reason
  }
}

const writeGroup = async (folder: string, count: number): Promise<string> => {
  mkdirSync(folder, { recursive: true })
  const ports = await freePorts(count)
  const nodes = ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` }))
  const groupFile = join(folder, "group.json")
  const group = { group: "paxos-kv", faults: "crash", durable: true, nodes }
  writeFileSync(groupFile, `${JSON.stringify(group, undefined, 2)}\n`)
  return groupFile
}

const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"))
  const ports: Array<number> = []
  for (const server of servers) {
    if (!server.listening) await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port is free")
    ports.push(address.port)
  }
  for (const server of servers) server.close()
  return ports
}

/** Over a channel, so that the replica ends when this process ends, however it ends. */
const start = (groupFile: string, folder: string, id: number): ChildProcess =>
  spawn(
    process.execPath,
    [
      ...process.execArgv,
      SERVER,
      ...["--group", groupFile, "--id", String(id), "--data", join(folder, `node-${id}`), "--init"]
    ],
    { stdio: ["ignore", "pipe", "pipe", "ipc"] }
  )

/** Waits until the replica says that it serves; fails with what it said instead. */
const startLine = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let said = ""
    const hear = (chunk: Buffer): void => {
      said += chunk.toString()
      if (/^node \d+ .*\n/m.test(said)) resolve()
    }
    child.stdout?.on("data", hear)
    child.stderr?.on("data", hear)
    child.once("error", reject)
    child.once("exit", () => reject(new Error(said.trim() || "a replica ended at once")))
  })

const stopAll = async (processes: ReadonlyArray<ChildProcess>): Promise<void> => {
  await Promise.all(processes.map(stop))
}

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill("SIGTERM")
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX)
  await ended
  clearTimeout(late)
}
