/** A few replicas as processes of their own, on free loopback ports: what `npm start` runs on. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Data, Effect } from "effect"

/** The replicas could not be started; `what` is what the first of them said. */
export class ReplicasFailed extends Data.TaggedError("ReplicasFailed")<{ readonly what: string }> {
  override get message(): string {
    return `the replicas do not start: ${this.what}`
  }
}

export interface Replicas {
  readonly groupFile: string
  /** In the order of the node ids: 1, 2, 3 … */
  readonly processes: ReadonlyArray<ChildProcess>
}

const SERVER = fileURLToPath(new URL("server.ts", import.meta.url))
/** A port that was free may be taken before its replica listens on it. */
const ATTEMPTS_MAX = 5
const IN_USE = /address is in use/
const START_MS_MAX = 30_000
/** A replica stops in less by itself; the whole program has two seconds. */
const STOP_MS_MAX = 1_500
/** What a replica says is kept up to here, for the case that it ends. */
const SAID_CHARS_MAX = 4_096

/** Starts `count` replicas with data under `folder`; they stop with the scope. */
export const startReplicas = Effect.fnUntraced(function* (folder: string, count: number) {
  const running = yield* Effect.acquireRelease(
    Effect.sync(() => new Set<ChildProcess>()),
    (processes) => Effect.promise(() => stopAll(processes))
  )
  for (let attempt = 1; ; attempt++) {
    const place = join(folder, `try-${attempt}`)
    const groupFile = yield* Effect.promise(() => writeGroup(place, count))
    const processes = Array.from({ length: count }, (_, i) => start(groupFile, place, i + 1))
    for (const child of processes) running.add(child)
    const refused = yield* Effect.all(processes.map(untilStarted), {
      concurrency: "unbounded"
    }).pipe(
      Effect.as(undefined),
      Effect.catchTag("ReplicasFailed", (failed) => Effect.succeed(failed))
    )
    if (refused === undefined) return { groupFile, processes } satisfies Replicas
    yield* Effect.promise(() => stopAll(processes))
    running.clear()
    if (attempt === ATTEMPTS_MAX || !IN_USE.test(refused.what)) return yield* refused
  }
})

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

/** Waits for the line that a replica prints once it serves; fails with what it said instead. */
const untilStarted = (child: ChildProcess): Effect.Effect<void, ReplicasFailed> =>
  Effect.callback<void, ReplicasFailed>((resume) => {
    let said = ""
    const fail = (what: string): void => resume(Effect.fail(new ReplicasFailed({ what })))
    // Heard to its end, or the pipe fills up and the replica waits for room.
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-SAID_CHARS_MAX)
      if (/^node \d+: group .*\n/m.test(said)) resume(Effect.void)
    }
    child.stdout?.on("data", hear)
    child.stderr?.on("data", hear)
    child.once("error", (error) => fail(error.message))
    child.once("close", () => fail(said.trim() || "a replica ended at once"))
  }).pipe(
    Effect.timeoutOrElse({
      duration: START_MS_MAX,
      orElse: () => Effect.fail(new ReplicasFailed({ what: `not within ${START_MS_MAX} ms` }))
    })
  )

const stopAll = async (processes: Iterable<ChildProcess>): Promise<void> => {
  await Promise.all(Array.from(processes, stop))
}

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill("SIGTERM")
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX)
  await ended
  clearTimeout(late)
}
