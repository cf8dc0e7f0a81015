/** Programs of this repository as processes of their own. */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { onTestFinished } from "vitest"
import type { GroupConfig } from "../../../src/runtime/Group.ts"
import { freePorts } from "./worlds.ts"

export const ROOT = join(import.meta.dirname, "../../..")
const EXAMPLE = "../../../examples/reliable-broadcast"
export const SERVER = new URL(`${EXAMPLE}/server.ts`, import.meta.url)
export const CLIENT = new URL(`${EXAMPLE}/client.ts`, import.meta.url)
export const PAXOS_SERVER = new URL("../../../apps/paxos/server.ts", import.meta.url)
export const COMES_AND_GOES = new URL("./comesAndGoes.ts", import.meta.url)

export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-rim-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A folder with `group.json` of a group on free ports. */
export const groupFolder = async (change: Partial<GroupConfig> & { size?: number } = {}) => {
  const { size = 4, ...rest } = change
  const folder = temporaryFolder()
  const ports = await freePorts(size)
  const config: GroupConfig = {
    group: "demo",
    faults: "byzantine",
    durable: false,
    nodes: ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` })),
    ...rest
  }
  writeFileSync(join(folder, "group.json"), JSON.stringify(config))
  return { folder, config, ports }
}

export interface Program {
  readonly child: ChildProcess
  /** Resolves with the first line on standard output. */
  readonly started: Promise<string>
  readonly ended: Promise<Ended>
}
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Ends with the test, if not before. */
export const start = (program: URL, args: ReadonlyArray<string>, cwd: string): Program => {
  const child = spawn(
    process.execPath,
    ["--conditions=quorate-source", fileURLToPath(program), ...args],
    { cwd, stdio: ["ignore", "pipe", "pipe"] }
  )
  onTestFinished(() => void child.kill("SIGKILL"))
  let stdout = ""
  let stderr = ""
  child.stderr?.on("data", (text) => (stderr += text))
  const started = new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (text) => {
      stdout += text
      const end = stdout.indexOf("\n")
      if (end >= 0) resolve(stdout.slice(0, end))
    })
    child.on("close", () => reject(new Error(`it ended before it started: ${stderr}`)))
  })
  started.catch(() => {})
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, started, ended }
}
