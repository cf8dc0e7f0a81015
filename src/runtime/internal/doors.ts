/** What several nodes answer at the one address of their host: each its own services and group. */
import type { DescService } from "@bufbuild/protobuf"
import { bytesEqual, NO_BYTES } from "../../base/bytes.ts"
import type { FetchAnswer } from "../../link/fetchStore.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { Hello } from "../../link/groupHello.ts"
import type { Connection, ConnectionEvents } from "../../link/ports.ts"
import type { UnaryEnds } from "../../link/unaryCall.ts"
import type { Door, FetchCall, UnaryCall, UnaryPeer, UnaryReply } from "../Carrier.ts"
import type { Group } from "../Group.ts"
import type { Host } from "../Host.ts"

/** One node's part of an address. */
export interface NodeDoor extends Pick<Door, "services" | "unary" | "greet"> {
  readonly peer: (ends: UnaryEnds) => UnaryPeer | Goodbye
  readonly group: Pick<Group["Service"], "name" | "epoch" | "digest">
  /** False: its epoch is announced only. Absent: the group has no other. */
  readonly answers?: () => boolean
  readonly fetch: (call: FetchCall) => FetchAnswer | Goodbye
}

export class Doors implements Door {
  services: ReadonlyArray<DescService> = []
  private readonly host: Host
  private readonly doors = new Set<NodeDoor>()

  constructor(host: Host) {
    this.host = host
  }

  /** Until what is returned is called. */
  add(door: NodeDoor): () => void {
    this.doors.add(door)
    this.collect()
    return () => {
      this.doors.delete(door)
      this.collect()
    }
  }

  readonly accept = (connection: Connection): ConnectionEvents => this.host.accept(connection)
  readonly garbage = (remote: string, what: string): void => this.host.garbage(remote, what)

  readonly peer = (ends: UnaryEnds): UnaryPeer | Goodbye =>
    this.named(ends.group)?.peer(ends) ?? UNKNOWN

  readonly greet = (theirs: Hello): Hello | Goodbye =>
    (this.with(theirs.groupDigest) ?? this.named(theirs.group))?.greet(theirs) ?? UNKNOWN

  readonly fetch = (call: FetchCall): FetchAnswer | Goodbye =>
    this.with(call.groupDigest)?.fetch(call) ?? UNKNOWN

  /** A call names its service, not its group. */
  readonly unary = (call: UnaryCall, done: (reply: UnaryReply) => void): (() => void) => {
    const service = call.method.slice(0, call.method.lastIndexOf("/"))
    const running = [...this.doors].filter(({ services }) =>
      services.some(({ typeName }) => typeName === service)
    )
    const [name, otherName] = new Set(running.map(({ group }) => group.name))
    const door = doorFor(call, running)
    if (door !== undefined && otherName === undefined) return door.unary(call, done)
    const groups = `groups "${name}" and "${otherName}" both run it: call over a link`
    const detail = `${call.method} is not a method of one group here`
    const why = door === undefined ? "the host runs no such service" : groups
    done({ body: NO_BYTES, code: "unknown_method", detail: `${detail}: ${why}` })
    return () => {}
  }

  private with(digest: Uint8Array): NodeDoor | undefined {
    return [...this.doors].find(({ group }) => bytesEqual(group.digest, digest))
  }
  private named(name: string): NodeDoor | undefined {
    return [...this.doors].find(({ group }) => group.name === name)
  }
  private collect(): void {
    const all = [...this.doors].flatMap(({ services }) => services)
    this.services = [...new Map(all.map((service) => [service.typeName, service])).values()]
  }
}

/**
 * Of the epochs of one group: the newest that takes calls. What brings its ids was numbered in the
 * first epoch: in another it would be another call, and both could run.
 */
const doorFor = ({ ids }: UnaryCall, doors: ReadonlyArray<NodeDoor>): NodeDoor | undefined => {
  const newestFirst = doors.toSorted((a, b) => b.group.epoch - a.group.epoch)
  if (ids !== undefined && ids !== "oneWay") return newestFirst.at(-1)
  return newestFirst.find(({ answers }) => answers?.() !== false) ?? newestFirst[0]
}

const UNKNOWN: Goodbye = {
  code: "wrong_group",
  detail: "this host has no such group: check the address in the group file"
}
