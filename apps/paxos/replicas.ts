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

/**
 * Starts `count` replicas with data under `folder`; they stop with the scope. `lost` is told, in
 * one line, of one that ends before.
 */
export const startReplicas = Effect.fnUntraced(function* (
  folder: string,
  count: number,
  lost: (what: string) => void
) {
  const running = yield* Effect.acquireRelease(
    Effect.sync(() => new Set<Replica>()),
    (replicas) => Effect.promise(() => stopAll(replicas))
  )
  for (let attempt = 1; ; attempt++) {
    const place = join(folder, `try-${attempt}`)
    const groupFile = yield* Effect.promise(() => writeGroup(place, count))
    const replicas = Array.from({ length: count }, (_, i) => new Replica(groupFile, place, i + 1))
    for (const replica of replicas) running.add(replica)
    const refused = yield* Effect.all(
      replicas.map((replica) => replica.started),
      { concurrency: "unbounded" }
    ).pipe(
      Effect.as(undefined),
      Effect.catchTag("ReplicasFailed", (failed) => Effect.succeed(failed))
    )
    if (refused === undefined) {
      for (const replica of replicas) {
        replica.ended.then(() => {
          if (running.has(replica)) lost(replica.lastWord)
        })
      }
      return { groupFile, processes: replicas.map(({ child }) => child) } satisfies Replicas
    }
    yield* Effect.promise(() => stopAll(running))
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

class Replica {
  readonly id: number
  readonly child: ChildProcess
  /** When the process is gone and all it said was heard. */
  readonly ended: Promise<void>
  private said = ""
  private failure = ""

  constructor(groupFile: string, folder: string, id: number) {
    const data = join(folder, `node-${id}`)
    const args = ["--group", groupFile, "--id", String(id), "--data", data, "--init"]
    this.id = id
    // Over a channel, so that the replica ends when this process ends, however it ends.
    this.child = spawn(process.execPath, [...process.execArgv, SERVER, ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"]
    })
    // Heard to the end, or the pipe fills up and the replica waits for room.
    const hear = (chunk: Buffer): void => {
      this.said = (this.said + chunk.toString()).slice(-SAID_CHARS_MAX)
    }
    this.child.stdout?.on("data", hear)
    this.child.stderr?.on("data", hear)
    this.ended = new Promise((resolve) => {
      this.child.once("close", () => resolve())
      this.child.once("error", (error) => {
        this.failure = error.message
        resolve()
      })
    })
  }

  /** Waits for the line that a replica prints once it serves; fails with what it said instead. */
  get started(): Effect.Effect<void, ReplicasFailed> {
    const fail = (what: string) => Effect.fail(new ReplicasFailed({ what }))
    return Effect.callback<void, ReplicasFailed>((resume) => {
      this.child.stdout?.on("data", () => {
        if (/^node \d+: group .*\n/m.test(this.said)) resume(Effect.void)
      })
      this.ended.then(() => resume(fail(this.said.trim() || this.lastWord)))
    }).pipe(
      Effect.timeoutOrElse({
        duration: START_MS_MAX,
        orElse: () => fail(`not within ${START_MS_MAX} ms`)
      })
    )
  }

  /** Of a replica that has ended. */
  get lastWord(): string {
    const { pid, exitCode, signalCode } = this.child
    const how = this.failure || (signalCode ?? `exit code ${exitCode}`)
    const error = /^.*Error.*$/m.exec(this.said)
    return `node ${this.id} (process ${pid}) ended: ${how}${error === null ? "" : `, ${error[0]}`}`
  }

  async stop(): Promise<void> {
    this.child.kill("SIGTERM")
    const late = setTimeout(() => this.child.kill("SIGKILL"), STOP_MS_MAX)
    await this.ended
    clearTimeout(late)
  }
}

/** Of a replica in the set the end is a loss: the set is emptied first. */
const stopAll = async (running: Set<Replica>): Promise<void> => {
  const replicas = [...running]
  running.clear()
  await Promise.all(replicas.map((replica) => replica.stop()))
}
