/** Three replicas of apps/paxos as processes that a test kills and starts again. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Layer, ManagedRuntime } from "effect"
import { Quorum } from "quorate"
import { NodeGroup } from "quorate/platform-node"
import { onTestFinished } from "vitest"
import { type CommandInit, parseCommand, printResult } from "../../apps/paxos/command.ts"
import { KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"
import { freePorts, type Program, runSource, temporaryFolder } from "./processes.ts"

/** Longer than all three are ever away: a call then ends with an answer, or the test fails. */
const CALL_MS_MAX = 60_000

export class PaxosCluster {
  readonly folder = temporaryFolder()
  readonly groupFile = join(this.folder, "group.json")
  readonly ids: ReadonlyArray<number>
  private readonly programs = new Map<number, Program>()

  private constructor(ports: ReadonlyArray<number>) {
    this.ids = ports.map((_, i) => i + 1)
    const nodes = ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` }))
    const group = { group: "paxos-kv", faults: "crash", durable: true, nodes }
    writeFileSync(this.groupFile, JSON.stringify(group))
  }

  /** No replica runs yet. */
  static async make(size = 3): Promise<PaxosCluster> {
    return new PaxosCluster(await freePorts(size))
  }

  dataFolder(id: number): string {
    return join(this.folder, `node-${id}`)
  }

  /** The command line of a replica; see apps/paxos/server.ts. */
  run(id: number, ...more: ReadonlyArray<string>): Program {
    const options = ["--group", this.groupFile, "--id", String(id), "--data", this.dataFolder(id)]
    return runSource("apps/paxos/server.ts", [...options, ...more])
  }

  /** Starts a replica and waits until it serves; its start line. */
  async start(id: number, ...more: ReadonlyArray<string>): Promise<string> {
    const program = this.run(id, ...more)
    this.programs.set(id, program)
    const [line] = await program.prints(/^node \d+: group .*$/m)
    return line
  }

  /** Starts all; with folders of their own, made now if `--init` is said. */
  async startAll(...more: ReadonlyArray<string>): Promise<void> {
    await Promise.all(this.ids.map((id) => this.start(id, ...more)))
  }

  program(id: number): Program {
    return this.programs.get(id)!
  }

  /** Nothing is lost but what was never durable: the process has no time to do anything. */
  async kill(id: number): Promise<void> {
    await this.program(id).stop("SIGKILL")
  }

  /** A client over HTTP/2, in this process. */
  client(): Client {
    const layer = KeyValue.layer.pipe(Layer.provide(NodeGroup.layerFile(this.groupFile)))
    const runtime = ManagedRuntime.make(layer)
    onTestFinished(() => runtime.dispose())
    return {
      execute: async (line) => {
        const { verb, command } = commandOf(line)
        const call = Effect.flatMap(KeyValue, (store) =>
          store.submit(command, undefined, { timeoutMs: CALL_MS_MAX })
        )
        return printResult(verb, await runtime.runPromise(call))
      },
      everywhere: async (line) => {
        const { verb, command } = commandOf(line)
        const call = Effect.flatMap(KeyValue, (store) =>
          store.submit(command, Quorum.all(), { timeoutMs: CALL_MS_MAX })
        )
        const votes = await runtime.runPromise(call)
        return votes.map(({ message }) => printResult(verb, message))
      }
    }
  }
}

export interface Client {
  /** A line of the store to the line it prints. */
  readonly execute: (line: string) => Promise<string>
  /** The same, with the answer of every replica. */
  readonly everywhere: (line: string) => Promise<ReadonlyArray<string>>
}

const commandOf = (line: string): { verb: "put" | "get" | "del" | "cas"; command: CommandInit } => {
  const parsed = parseCommand(line)
  if (parsed === undefined || "error" in parsed) throw new Error(`no command: ${line}`)
  return parsed
}
