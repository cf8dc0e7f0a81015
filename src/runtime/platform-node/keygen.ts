/** `quorate keygen`: keys of a group's nodes with its group file, or one key. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { LIMITS } from "../../base/limits.ts"
import { GroupInvalid } from "../Errors.ts"
import { parseGroup } from "../Group.ts"
import { generateKey } from "./nodeKeys.ts"
import { systemErrorCode, systemErrorText } from "./systemError.ts"

export const KEYGEN_HELP = `quorate keygen: makes keys of nodes with their group file, or one key

  quorate keygen --group NAME --nodes N --out DIR [options]
      DIR/group.json         for every node and client
      DIR/node-1.pem …       private keys, mode 600: each for its node's machine alone
  quorate keygen --key FILE
      FILE                   a private key, mode 600, e.g. of a client; prints the public one

options of a group
  --faults byzantine|crash   what a faulty node does (default byzantine)
  --f F                      how many may be faulty (default: the most that N nodes allow)
  --durable                  nodes keep what they say on disk
  --links STRENGTH           plaintext, authenticated (default) or encrypted
  --address HOST:PORT        of node 1, again for node 2 … (default 127.0.0.1:7001 …)
  --clients N                makes DIR/client-1.pem … too, and lets no other client call
options of both
  --json                     prints what was made as JSON
  --help                     prints this

Nothing is overwritten. Exit codes: 0 made, 1 not made, 2 not understood.
`

/** What a command line prints, and its exit code. */
export interface Ended {
  readonly code: 0 | 1 | 2
  readonly stdout?: string
  readonly stderr?: string
}

/** Why nothing was made: thrown within this file only. */
class Stop {
  readonly ended: Ended
  constructor(code: 1 | 2, line: string) {
    const help = code === 2 ? "; see quorate keygen --help" : ""
    this.ended = { code, stderr: `quorate keygen: ${line}${help}\n` }
  }
}

export const keygen = (args: ReadonlyArray<string>): Ended => {
  try {
    const options = read(args)
    if (options.help === true) return { code: 0, stdout: KEYGEN_HELP }
    return options.key === undefined ? groupOf(options) : keyOf(options, options.key)
  } catch (stop) {
    if (stop instanceof Stop) return stop.ended
    throw stop
  }
}

const read = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        group: { type: "string" },
        nodes: { type: "string" },
        out: { type: "string" },
        faults: { type: "string", default: "byzantine" },
        f: { type: "string" },
        durable: { type: "boolean", default: false },
        links: { type: "string", default: "authenticated" },
        address: { type: "string", multiple: true },
        clients: { type: "string" },
        key: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean" }
      }
    }).values
  } catch (error) {
    const [first] = String(error instanceof Error ? error.message : error).split("\n")
    throw new Stop(2, first!.replace(/\.$/, ""))
  }
}
type Options = ReturnType<typeof read>

const keyOf = (options: Options, file: string): Ended => {
  const other = (["group", "nodes", "out", "address", "clients", "f"] as const).find(
    (name) => options[name] !== undefined
  )
  if (other !== undefined) throw new Stop(2, `--key makes one key, without --${other}`)
  const { privateKey, publicKey } = generateKey()
  write([{ file, text: privateKey, mode: SECRET }])
  return { code: 0, stdout: options.json ? json({ file, publicKey }) : `${publicKey}\n` }
}

interface Owned {
  readonly owner: string
  readonly file: string
  readonly publicKey: string
}

const groupOf = (options: Options): Ended => {
  const { out } = options
  if (options.group === undefined || options.nodes === undefined || out === undefined) {
    throw new Stop(2, "give --group, --nodes and --out, or --key")
  }
  const count = whole("nodes", options.nodes, 1)
  const clientCount = options.clients === undefined ? 0 : whole("clients", options.clients, 0)
  const addresses = options.address ?? Array.from({ length: count }, (_, i) => near(i + 1))
  if (addresses.length !== count) {
    throw new Stop(2, `${addresses.length} addresses for ${count} nodes: give one each, or none`)
  }
  const pairs = Array.from({ length: count + clientCount }, generateKey)
  const keys: ReadonlyArray<Owned> = pairs.map(({ publicKey }, i) => {
    const owner = i < count ? `node ${i + 1}` : `client ${i - count + 1}`
    return { owner, file: join(out, `${owner.replace(" ", "-")}.pem`), publicKey }
  })
  const config = {
    group: options.group,
    faults: options.faults,
    ...(options.f !== undefined && { f: whole("f", options.f, 0) }),
    durable: options.durable,
    links: options.links,
    ...(options.clients !== undefined && {
      clients: keys.slice(count).map(({ publicKey }) => publicKey)
    }),
    nodes: addresses.map((address, i) => ({ id: i + 1, address, key: keys[i]!.publicKey }))
  }
  const file = join(out, "group.json")
  const group = parseGroup(config, file)
  if (group instanceof GroupInvalid) throw new Stop(1, group.message)
  make(out)
  write([
    { file, text: json(config), mode: PUBLIC },
    ...keys.map((key, i) => ({ file: key.file, text: pairs[i]!.privateKey, mode: SECRET }))
  ])
  if (options.json) return { code: 0, stdout: json({ group: file, keys }) }
  const told = keys.map(({ owner, file: own }) => `${own}: private key of ${owner}\n`)
  const { faults } = group.system
  const what = `group ${group.name}, ${count} nodes of which ${faults} may be faulty`
  return { code: 0, stdout: `${file}: ${what}, ${group.links} links\n${told.join("")}` }
}

const whole = (name: string, text: string, min: number): number => {
  const value = Number(text)
  if (/^[0-9]{1,6}$/.test(text) && value >= min && value <= LIMITS.membersMax) return value
  throw new Stop(2, `--${name} is a whole number from ${min} to ${LIMITS.membersMax}, not ${text}`)
}

const near = (id: number): string => `127.0.0.1:${7000 + id}`
const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const SECRET = 0o600
const PUBLIC = 0o644

interface Made {
  readonly file: string
  readonly text: string
  readonly mode: number
}

const make = (folder: string): void => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new Stop(1, `${folder}: it cannot be made: ${systemErrorText(error)}`)
  }
}

/** All of them or none: a key without its group file is of no use to anybody. */
const write = (files: ReadonlyArray<Made>): void => {
  for (const [i, { file, text, mode }] of files.entries()) {
    try {
      writeFileSync(file, text, { mode, flag: "wx" })
    } catch (error) {
      for (const made of files.slice(0, i)) rmSync(made.file, { force: true })
      const exists = systemErrorCode(error) === "EEXIST"
      const why = exists ? "it exists, and nothing is overwritten" : systemErrorText(error)
      throw new Stop(1, `${file}: ${why}; nothing was made`)
    }
  }
}
