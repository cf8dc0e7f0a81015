/**
 * Keeps two processes out of one folder. Node has no lock that the kernel gives back when a process
 * dies, so the lock is a file named after its owner; whoever starts looks whether the owner lives.
 *
 * Announce, then look: everybody first makes a file of their own, then lists the folder and
 * withdraws when another owner lives. Of two that start at once at least one sees the other. A name
 * is never used by another owner, so deleting a dead owner's file takes nothing from anybody.
 *
 * An owner is a process of one boot of one host: after a power loss or with its number given to
 * another program it counts as dead. Containers are told apart by host name only: two that share
 * host name and folder are not kept apart.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import type { StoreInvalid } from "../../link/logCore.ts"
import { systemErrorCode, systemErrorText } from "./systemError.ts"

/** All fields are letters and digits; "0" where the system does not tell. */
interface Owner {
  readonly pid: number
  /** When the process started, in ticks since boot. */
  readonly start: string
  readonly boot: string
  /** Its pid namespace. */
  readonly space: string
  readonly host: string
}

const ask = (question: () => string): string => {
  try {
    return question()
  } catch {
    return "0"
  }
}

/** State letter and start time; `undefined` where there is no /proc or no such process. */
const processStat = (pid: number | "self"): { state: string; start: string } | undefined => {
  const text = ask(() => fs.readFileSync(`/proc/${pid}/stat`, "utf8"))
  // The name of the program may hold anything, also ") ": the fields begin after the last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
  return fields.length < 20 ? undefined : { state: fields[0]!, start: fields[19]! }
}

const ourselves = (): Owner => ({
  pid: process.pid,
  start: processStat("self")?.start ?? "0",
  boot: ask(() => fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8)),
  space: ask(() => fs.readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "")),
  host: createHash("sha256").update(hostname()).digest("hex").slice(0, 8)
})

const lockName = (o: Owner): string => `lock-${o.pid}-${o.start}-${o.boot}-${o.space}-${o.host}`

const lockOwner = (name: string): Owner | undefined => {
  const parts = /^lock-(\d+)-(\d+)-(\w+)-(\w+)-(\w+)$/.exec(name)
  if (parts === null) return undefined
  const [, pid, start, boot, space, host] = parts as unknown as ReadonlyArray<string>
  return { pid: Number(pid), start: start!, boot: boot!, space: space!, host: host! }
}

/** Whether a file of this name is a lock of some process on the folder. */
export const isLock = (name: string): boolean => lockOwner(name) !== undefined

type Life = "alive" | "dead" | "unknown"

const lifeOf = (owner: Owner, own: Owner): Life => {
  if (owner.host !== own.host) return "unknown"
  if (owner.boot !== own.boot || owner.space !== own.space) return "dead"
  if (owner.pid === own.pid) return owner.start === own.start ? "alive" : "dead"
  const stat = processStat(owner.pid)
  if (stat !== undefined) {
    return stat.start === owner.start && stat.state !== "Z" && stat.state !== "X" ? "alive" : "dead"
  }
  try {
    process.kill(owner.pid, 0)
    return "alive"
  } catch (thrown) {
    return systemErrorCode(thrown) === "ESRCH" ? "dead" : "alive"
  }
}

const refusal = (folder: string, name: string, owner: Owner, life: Life): StoreInvalid => {
  const file = join(folder, name)
  if (life === "unknown") {
    const host = ask(() => fs.readFileSync(file, "utf8").trim()) || "another host"
    return {
      where: folder,
      what: `process ${owner.pid} on ${host} has it open, or ended without closing it`,
      remedy: `make sure that it no longer runs, then delete ${file}`
    }
  }
  return {
    where: folder,
    what: `${owner.pid === process.pid ? "this process" : `process ${owner.pid}`} has it open`,
    remedy: "stop that process first, or give every node a folder of its own"
  }
}

/** Holds `folder` for this process until the returned function is called, or says who has it. */
export const lockFolder = (folder: string): (() => void) | StoreInvalid => {
  const own = ourselves()
  const mine = join(folder, lockName(own))
  try {
    fs.writeFileSync(mine, `${hostname()}\n`, { flag: "wx" })
  } catch (thrown) {
    if (systemErrorCode(thrown) === "EEXIST") return refusal(folder, lockName(own), own, "alive")
    return {
      where: folder,
      what: systemErrorText(thrown),
      remedy: "give this user the right to write there"
    }
  }
  const release = (): void => fs.rmSync(mine, { force: true })
  for (const name of fs.readdirSync(folder)) {
    const owner = lockOwner(name)
    if (owner === undefined || name === lockName(own)) continue
    const life = lifeOf(owner, own)
    if (life === "dead") {
      fs.rmSync(join(folder, name), { force: true })
      continue
    }
    release()
    return refusal(folder, name, owner, life)
  }
  return release
}
