/** Programs as processes of their own, on free ports and in folders that go with the test. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { onTestFinished } from "vitest"
import { ROOT } from "./repo.ts"

/** Removed when the test ends. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-e2e-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Below the ports that a system hands out itself: between the time a port is found free and the
 * time a node listens there, no connection of another test takes it, nor does a client of another
 * test that still tries to come back find this one's node. Each process begins elsewhere.
 */
const PORTS_FROM = 10_000
const PORTS_UNTIL = 32_000
const PORTS_OF_PROCESS = 50
const PROCESSES = (PORTS_UNTIL - PORTS_FROM) / PORTS_OF_PROCESS
let nextPort = PORTS_FROM + PORTS_OF_PROCESS * (process.pid % PROCESSES)

/** Ports nobody listens on now. */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const ports: Array<number> = []
  while (ports.length < count) {
    const port = nextPort++
    if (nextPort === PORTS_UNTIL) nextPort = PORTS_FROM
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((found) => {
    const server = createServer()
    server.once("error", () => found(false))
    server.listen(port, "127.0.0.1", () => server.close(() => found(true)))
  })

/** As outside of the repository: programs of its node_modules/.bin are not found. */
export const outsidePath = (): string =>
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !`${folder}/`.startsWith(ROOT))
    .join(delimiter)

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramOptions {
  readonly cwd?: string
  readonly env?: { readonly [name: string]: string }
  /** Standard input, whole. `"open"`: left open, nothing comes. Default: empty. */
  readonly input?: string
}

/** A running process; killed when the test ends, if it still runs. */
export class Program {
  readonly child: ChildProcess
  /** When it has ended and all it printed was read. */
  readonly ended: Promise<Ended>
  stdout = ""
  stderr = ""

  constructor(command: string, args: ReadonlyArray<string>, options: ProgramOptions = {}) {
    const { cwd = ROOT, env = {}, input = "" } = options
    this.child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"]
    })
    onTestFinished(() => void this.child.kill("SIGKILL"))
    this.child.stdout!.on("data", (text) => (this.stdout += text))
    this.child.stderr!.on("data", (text) => (this.stderr += text))
    // It may end before it has read all.
    this.child.stdin!.on("error", () => {})
    if (input !== "open") this.child.stdin!.end(input)
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", reject)
      this.child.once("close", (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
      })
    })
    this.ended.catch(() => {})
  }

  get pid(): number {
    return this.child.pid!
  }

  /** Waits until it has printed what matches, on either output; fails when it ends before. */
  async prints(pattern: RegExp, outputs: "stdout" | "both" = "both"): Promise<RegExpExecArray> {
    let ended = false
    const end = this.ended.then(() => (ended = true))
    for (;;) {
      const match =
        pattern.exec(this.stdout) ?? (outputs === "both" ? pattern.exec(this.stderr) : null)
      if (match !== null) return match
      if (ended) throw new Error(`it ended and never printed ${pattern}: ${this.stderr}`)
      const said = new AbortController()
      const more = [this.child.stdout!, this.child.stderr!].map((output) =>
        once(output, "data", { signal: said.signal }).catch(() => {})
      )
      await Promise.race([...more, end])
      said.abort()
    }
  }

  /** The first line on standard output; fails when it ends before. */
  get started(): Promise<string> {
    return this.prints(/^(.*)\n/, "stdout").then(([, line]) => line!)
  }

  /** Sends the signal and waits for the end. */
  async stop(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal)
    return await this.ended
  }
}

/** Runs a program to its end; gives its standard output. Fails with all it printed. */
export const execute = async (
  command: string,
  args: ReadonlyArray<string>,
  options?: ProgramOptions
): Promise<string> => {
  const { code, stdout, stderr } = await new Program(command, args, options).ended
  if (code === 0) return stdout
  throw new Error(`${[command, ...args].join(" ")} exited with ${code}\n${stdout}\n${stderr}`)
}

/** A program of this repository, run from its sources by the Node that runs the tests. */
export const runSource = (
  file: string,
  args: ReadonlyArray<string>,
  options?: ProgramOptions
): Program =>
  new Program(process.execPath, ["--conditions=quorate-source", join(ROOT, file), ...args], options)

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
