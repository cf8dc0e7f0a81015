/** The example and the store as processes of their own, in groups on free ports. */
import { writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import type { GroupConfig } from "../../../src/runtime/Group.ts"
import { freePorts, type Program, runSource, temporaryFolder } from "../../support/processes.ts"
import { ROOT } from "../../support/repo.ts"

export const SERVER = "examples/reliable-broadcast/server.ts"
export const CLIENT = "examples/reliable-broadcast/client.ts"
export const PAXOS_SERVER = "apps/paxos/server.ts"
export const COMES_AND_GOES = relative(
  ROOT,
  fileURLToPath(new URL("./comesAndGoes.ts", import.meta.url))
)

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

/** Ends with the test, if not before. */
export const start = (program: string, args: ReadonlyArray<string>, cwd: string): Program =>
  runSource(program, args, { cwd })
