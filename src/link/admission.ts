/**
 * Who has proven nothing yet gets little: so many connections of one address, so many of them a
 * second, and so many streams whose handshake is not done, of one address and in all. Time is a
 * parameter.
 */
import { assert } from "../base/assert.ts"
import type { Limits } from "../base/limits.ts"
import { Meter } from "./meter.ts"

interface Address {
  connections: number
  /** Streams that have not proven who they are. */
  unproven: number
  readonly meter: Meter
}

/** A handshake that came to nothing costs its address as many more. */
const FAILED_COST = 8

export class Admission {
  /** Refused, by reason; and handshakes that came to nothing. */
  readonly counters = { connections: 0, rate: 0, streams: 0, streamsOfAll: 0, failed: 0 }
  private readonly limits: Limits
  /** All connections come from one address, a proxy's: it tells nothing about who they are. */
  private readonly shared: boolean
  private readonly addresses = new Map<string, Address>()
  private unproven = 0

  constructor(limits: Limits, shared = false) {
    this.limits = limits
    this.shared = shared
  }

  /**
   * A connection comes in.
   * @returns why it is refused, for people; else call {@link disconnected} once it is gone
   */
  connected(remote: string, atMs: number): string | undefined {
    if (this.shared) return undefined
    const { connectionsPerAddressMax, handshakesPerSecond } = this.limits
    const address = this.at(addressOf(remote), atMs)
    if (address.connections >= connectionsPerAddressMax) {
      this.counters.connections++
      return `${connectionsPerAddressMax} connections of that address are open`
    }
    if (!address.meter.allows(0, atMs)) {
      this.counters.rate++
      return `more than ${handshakesPerSecond} connections a second of that address`
    }
    address.connections++
    return undefined
  }

  disconnected(remote: string): void {
    if (this.shared) return
    const address = this.addresses.get(addressOf(remote))
    assert(address !== undefined && address.connections > 0, "who leaves has come")
    address.connections--
  }

  /**
   * A link's stream begins on a connection that was taken.
   * @returns why it is refused; else call {@link settled} once its handshake is done or it is gone
   */
  begun(remote: string): string | undefined {
    const { unprovenMax, unprovenPerAddressMax } = this.limits
    if (this.unproven >= unprovenMax) {
      this.counters.streamsOfAll++
      return `${unprovenMax} streams have not done their handshake`
    }
    const address = this.shared ? undefined : this.addresses.get(addressOf(remote))
    if (address !== undefined && address.unproven >= unprovenPerAddressMax) {
      this.counters.streams++
      return `${unprovenPerAddressMax} streams of that address have not done their handshake`
    }
    this.unproven++
    if (address !== undefined) address.unproven++
    return undefined
  }

  /** @param done its handshake is; else it was slow, or wrong, or broke: that counts for more */
  settled(remote: string, done: boolean, atMs: number): void {
    assert(this.unproven > 0, "what is settled was begun")
    this.unproven--
    const address = this.shared ? undefined : this.addresses.get(addressOf(remote))
    if (address === undefined) return
    address.unproven--
    if (done) return
    this.counters.failed++
    // No debt: a node that stood still itself must not shut out all whom it kept waiting.
    for (let left = FAILED_COST; left > 0; left--) address.meter.allows(0, atMs)
  }

  /** Entries of every table, for bounds and tests. */
  size(): { readonly addresses: number; readonly unproven: number } {
    return { addresses: this.addresses.size, unproven: this.unproven }
  }

  /**
   * An address is known while it has connections, and until its rate is paid for. Beyond
   * `addressesMax` those without connections are forgotten, whatever they owe: the port has no room
   * for as many that have some.
   */
  private at(name: string, atMs: number): Address {
    const known = this.addresses.get(name)
    if (known !== undefined) return known
    if (this.addresses.size >= this.limits.addressesMax) this.makeRoom(atMs)
    const { handshakesPerSecond, rateBurstMs } = this.limits
    const rate = { messagesPerSecond: handshakesPerSecond, bytesPerSecond: 1 }
    const meter = new Meter({ ...rate, burstMs: rateBurstMs })
    const address = { connections: 0, unproven: 0, meter }
    this.addresses.set(name, address)
    return address
  }

  private makeRoom(atMs: number): void {
    const empty = [...this.addresses].filter(([, it]) => it.connections + it.unproven === 0)
    const idle = empty.filter(([, { meter }]) => meter.idle(atMs))
    for (const [name] of idle.length > 0 ? idle : empty) this.addresses.delete(name)
  }
}

/** What one holder has: an IPv4 address, or the first half of an IPv6 one. */
export const addressOf = (remote: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(remote)
  if (mapped !== null) return mapped[1]!
  if (!remote.includes(":")) return remote
  const [head = "", tail] = remote.split("%")[0]!.split("::")
  const groups = head.split(":")
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(":").length
  const all = [...groups, ...new Array<string>(Math.max(0, missing)).fill("0")]
  if (tail !== undefined) all.push(...tail.split(":"))
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group || "0", 16).toString(16))
    .join(":")}::/64`
}
