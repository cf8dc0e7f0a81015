/**
 * The data folder of a node through the epochs of its group. The first has its store in the folder
 * itself, each other one in a folder of its own; the file `epochs` says which live and which ended.
 * It is replaced at once, and is durable before what it says is done.
 */
import { hexOf } from "../../base/bytes.ts"
import { LIMITS } from "../../base/limits.ts"
import type { StoreInvalid } from "../../link/logCore.ts"
import type { Disk, DiskFailure } from "../../link/ports.ts"
import { type GroupPlan, planOf, readPlan } from "./epochPlan.ts"

type Done = (failure: DiskFailure | undefined) => void

const FILE = "epochs"
/** Ended epochs whose digests are kept, to tell those who still dial them. */
const DIGESTS_MAX = LIMITS.epochsMax

interface Kept {
  /** The highest number that ended here; 0: none did. */
  readonly ended: number
  /** Of epochs that ended here, newest last, in hexadecimal. */
  readonly digests: ReadonlyArray<string>
  /** Those that live here, as group files. */
  readonly live: ReadonlyArray<GroupPlan>
}

export class EpochStore {
  private readonly disk: Disk
  private kept: Kept

  private constructor(disk: Disk, kept: Kept) {
    this.disk = disk
    this.kept = kept
  }

  /** Finishes what an earlier life of the process began to delete. */
  static open(disk: Disk, group: string): EpochStore | StoreInvalid {
    const where = `${disk.where}/${FILE}`
    try {
      if (!disk.list().includes(FILE)) {
        return new EpochStore(disk, { ended: 0, digests: [], live: [] })
      }
      const kept = keptOf(disk.read(FILE), group)
      if (kept === undefined) {
        const what = `it does not say which epochs of group "${group}" this node is in`
        return { where, what, remedy: "put it back as it was" }
      }
      const store = new EpochStore(disk, kept)
      for (const number of store.leftovers()) store.remove(number, () => {})
      return store
    } catch (thrown) {
      const what = thrown instanceof Error ? thrown.message : String(thrown)
      return { where, what, remedy: "check the disk, and the rights of this user on it" }
    }
  }

  get ended(): number {
    return this.kept.ended
  }
  get digests(): ReadonlyArray<string> {
    return this.kept.digests
  }
  get live(): ReadonlyArray<GroupPlan> {
    return this.kept.live
  }
  /** Whether it keeps more than the first epoch. */
  get keepsSeveral(): boolean {
    return this.disk.folder !== undefined
  }

  /** Where the epoch's store is. Throws a plain Error. */
  diskOf(number: number): Disk {
    return number === 1 ? this.disk : this.disk.folder!(folderOf(number))
  }

  /** The epoch lives here: said before its node says anything. Throws a plain Error. */
  add(plan: GroupPlan): void {
    const others = this.kept.live.filter(({ number }) => number !== plan.number)
    this.write({ ...this.kept, live: [...others, plan].sort((a, b) => a.number - b.number) })
  }

  /**
   * It ended, for all lives of this process; its store goes, file by file or at once, and `done` is
   * told of each. Throws a plain Error.
   */
  end({ number, group }: GroupPlan, done: Done): void {
    const { live, ended, digests } = this.kept
    this.write({
      ended: Math.max(ended, number),
      digests: [...digests, hexOf(group.digest)].slice(-DIGESTS_MAX),
      live: live.filter((plan) => plan.number !== number)
    })
    this.remove(number, done)
  }

  private write(kept: Kept): void {
    const { ended, digests, live } = kept
    const files = live.map(({ group }) => new TextDecoder().decode(planOf(group).description))
    const text = JSON.stringify({ ended, digests, live: files.map((file) => JSON.parse(file)) })
    this.disk.create(FILE, new TextEncoder().encode(text))
    this.kept = kept
  }

  /** Numbers of stores whose epochs have ended. */
  private leftovers(): ReadonlyArray<number> {
    const lives = new Set(this.kept.live.map(({ number }) => number))
    const numbers = this.disk.list().map((name) => {
      if (name.startsWith("log-")) return 1
      return Number(/^epoch-(\d+)$/.exec(name)?.[1] ?? 0)
    })
    const gone = numbers.filter((it) => it > 0 && it <= this.kept.ended && !lives.has(it))
    return [...new Set(gone)]
  }

  private remove(number: number, done: Done): void {
    if (number > 1) return this.disk.removeFolder!(folderOf(number), done)
    const files = this.disk.list().filter((name) => name.startsWith("log-"))
    for (const name of files) this.disk.remove(name, done)
  }
}

const folderOf = (number: number): string => `epoch-${number}`

const keptOf = (bytes: Uint8Array, group: string): Kept | undefined => {
  let value: { ended?: unknown; digests?: unknown; live?: unknown } | null
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
  const { ended, digests, live } = value ?? {}
  if (!Number.isInteger(ended) || !Array.isArray(digests) || !Array.isArray(live)) return undefined
  const plans = live.map((file) => readPlan(new TextEncoder().encode(JSON.stringify(file)), group))
  if (plans.includes(undefined)) return undefined
  return { ended: ended as number, digests, live: plans as ReadonlyArray<GroupPlan> }
}
