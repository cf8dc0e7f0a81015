/**
 * All links of one host, dialled and accepted, which its groups share: a group has a channel of its
 * own on the link to each host it talks to. Who dials keeps dialling; a link that wears out is
 * replaced before it ends.
 */
import { assert } from "../base/assert.ts"
import { bytesEqual } from "../base/bytes.ts"
import { mayRetry } from "../base/errorCode.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import { type Channel, type ChannelPort, type LinkEnd, textOf } from "./channel.ts"
import type { Goodbye } from "./goodbye.ts"
import type { Hello } from "./groupHello.ts"
import type { Handshake } from "./handshake.ts"
import type { Clock, Connection, ConnectionEvents } from "./ports.ts"
import { StreamLink } from "./streamLink.ts"
import type { UnaryEnds } from "./unaryCall.ts"
import { unaryLimits } from "./unaryLink.ts"

/** Where a host is, and the handshake of links to it. Of equal `name` there is one link. */
export interface Target {
  /** Address, strength and expected key in one. */
  readonly name: string
  readonly address: string
  /** Present: by unary calls, which are between these two; absent: by a stream. */
  readonly unary?: UnaryEnds
  readonly handshake: () => Handshake
}

export interface HostLinksOptions {
  readonly limits: Limits
  readonly clock: Clock
  /** A whole number from 0 to below - 1. */
  readonly random: (below: number) => number
  /** Tells what goes wrong to `closed`, never within the call. */
  readonly dial: (address: string, events: ConnectionEvents, unary?: UnaryEnds) => Connection
  /** Of links that others dial; absent: nobody may. */
  readonly accepting?: () => Handshake
  /** Call `flush` at the end of the turn. */
  readonly wake: () => void
  /** A link ended, or an opening was refused. */
  readonly broke: (remote: string, end: LinkEnd, wasOpen: boolean) => void
}

const HEALTHY: ReadonlySet<string> = new Set(["not_ready", "replaced", "cancelled"])
/** Whether a link or channel ended in good health: one side stops, or has a newer one. */
export const isHealthy = ({ code }: Goodbye): boolean => HEALTHY.has(code)

const REPLACED: Goodbye = { code: "replaced", detail: "a newer link has taken its place" }

/** Waits ever longer, and longest where one side refused the other for good. */
class Backoff {
  dueMs = 0
  private readonly options: HostLinksOptions
  private waitMs: number
  /** It was refused for good before: that it opened means little. */
  private refused = false

  constructor(options: HostLinksOptions) {
    this.options = options
    this.waitMs = options.limits.redialMsMin
  }
  /** It was good: the next wait is short. */
  reset(): void {
    if (!this.refused) this.waitMs = this.options.limits.redialMsMin
  }
  /** Half to all of the wait from now on. */
  next(goodbye: Goodbye | undefined): void {
    const { limits, clock, random } = this.options
    const ill = goodbye !== undefined && !isHealthy(goodbye)
    this.refused = ill && !mayRetry(goodbye.code)
    const most = this.refused ? limits.redialRefusedMsMax : limits.redialMsMax
    const waitMs = Math.min(ill ? Math.max(this.waitMs, limits.redialMsMax) : this.waitMs, most)
    this.dueMs = clock.nowMs() + Math.ceil(waitMs / 2) + random(Math.floor(waitMs / 2) + 1)
    this.waitMs = Math.min(2 * waitMs, most)
  }
}

/** What keeps a channel to a host. */
export interface KeepPort extends ChannelPort {
  /** The host was not reached, or refused the link: it is tried again. */
  readonly failed: (end: LinkEnd) => void
}

/** A group's wish for a channel to a host, until it is closed. */
export class Keep {
  /** The one that is used. */
  private channel: Channel | undefined
  /** The newest one, until the other side has answered. */
  private opening: Channel | undefined
  private readonly line: Line
  private readonly backoff: Backoff
  private readonly port: KeepPort

  constructor(line: Line, port: KeepPort, options: HostLinksOptions) {
    this.line = line
    this.backoff = new Backoff(options)
    this.port = {
      ...port,
      opened: (channel, theirs) => {
        this.backoff.reset()
        if (this.opening === channel) this.opening = undefined
        const old = this.channel
        this.channel = channel
        port.opened(channel, theirs)
        if (old !== channel) old?.close(REPLACED)
      },
      closed: (channel, end) => {
        if (this.opening === channel) this.opening = undefined
        if (this.channel === channel) this.channel = undefined
        // The other side may have ended the old one as soon as it took the new one.
        if (this.isClosed) this.backoff.next(end.goodbye)
        port.closed(channel, end)
      }
    }
  }

  /** When it may be opened, if it is not. */
  get dueMs(): number {
    return this.isClosed ? this.backoff.dueMs : Number.POSITIVE_INFINITY
  }
  /** Opens the channel on a link that is open. One that is open stays until the new one is. */
  open(link: StreamLink): void {
    const channel = link.core.open(this.port)
    if (!channel.isClosed) this.opening = channel
  }
  /** The line has no link: one that had a channel on it was told so. */
  failed(end: LinkEnd): void {
    this.port.failed(end)
  }
  close(goodbye: Goodbye): void {
    this.line.leave(this)
    this.opening?.close(goodbye)
    this.channel?.close(goodbye)
  }
  private get isClosed(): boolean {
    return this.channel === undefined && this.opening === undefined
  }
}

/** One host that others of this host's groups want to reach: dialled until nobody wants it. */
class Line {
  link: StreamLink | undefined
  /** Takes the place of `link` once it is open. */
  private heir: StreamLink | undefined
  /** Whose place `link` took. It has it again where its groups were not taken there. */
  private former: StreamLink | undefined
  /** When an heir was dialled last. */
  private replacedMs = Number.NEGATIVE_INFINITY
  private readonly target: Target
  private readonly links: HostLinks
  private readonly keeps = new Set<Keep>()
  private readonly backoff: Backoff

  constructor(target: Target, links: HostLinks) {
    this.target = target
    this.links = links
    this.backoff = new Backoff(links.options)
  }
  get unused(): boolean {
    return this.keeps.size === 0
  }
  join(keep: Keep): void {
    this.keeps.add(keep)
    if (this.link === undefined && this.backoff.dueMs === 0) this.dial()
    else if (this.link?.core.isOpen === true) keep.open(this.link)
  }
  leave(keep: Keep): void {
    this.keeps.delete(keep)
  }
  /** It has an heir, and all its channels have gone there. */
  hasLeft(link: StreamLink): boolean {
    return this.link !== link && this.heir !== link && link.core.channelCount === 0
  }
  /** Every `tickMs`. */
  tick(nowMs: number): void {
    const { link } = this
    if (link?.worn === true) this.replace(link)
    if (link?.core.isOpen === true) this.openDue(link, nowMs)
    if (link !== undefined || this.heir !== undefined || nowMs < this.backoff.dueMs) return
    for (const keep of this.keeps) if (keep.dueMs <= nowMs) return this.dial()
  }
  opened(link: StreamLink): void {
    this.backoff.reset()
    const old = this.link
    this.link = link
    if (this.heir === link) this.heir = undefined
    if (old === undefined || old === link) return this.openDue(link, this.nowMs)
    mark("links: handed over")
    this.former = old
    for (const keep of this.keeps) keep.open(link)
  }
  closed(link: StreamLink, end: LinkEnd, wasOpen: boolean): void {
    if (this.former === link) this.former = undefined
    if (this.link !== link && this.heir !== link) return
    this.backoff.next(end.goodbye)
    if (this.heir === link) this.heir = undefined
    else {
      this.link = this.former
      this.former = undefined
    }
    if (!wasOpen && this.link === undefined) for (const keep of this.keeps) keep.failed(end)
  }
  /** A new link is dialled, whose channels displace those of this one. */
  replace(link: StreamLink): void {
    if (this.unused || this.link !== link || this.heir !== undefined) return
    // What is before the other side may send each new one away too.
    const nextMs = this.replacedMs + this.links.options.limits.redialMsMax
    if (this.nowMs < Math.max(nextMs, this.backoff.dueMs)) return
    mark("links: replaced")
    this.replacedMs = this.nowMs
    this.heir = this.links.dial(this, this.target)
  }
  private get nowMs(): number {
    return this.links.options.clock.nowMs()
  }
  private openDue(link: StreamLink, nowMs: number): void {
    for (const keep of this.keeps) if (keep.dueMs <= nowMs) keep.open(link)
  }
  private dial(): void {
    this.link = this.links.dial(this, this.target)
  }
}

export class HostLinks {
  readonly options: HostLinksOptions
  private readonly lines = new Map<string, Line>()
  private readonly links = new Map<StreamLink, Line | undefined>()
  private readonly dirty = new Set<StreamLink>()
  private readonly groups = new Set<{ readonly name: string; readonly port: ChannelPort }>()
  private readonly bornMs: number
  private stopping: Goodbye | undefined

  constructor(options: HostLinksOptions) {
    this.options = options
    this.bornMs = options.clock.nowMs()
  }

  get size(): { readonly links: number; readonly channels: number; readonly lines: number } {
    let channels = 0
    for (const link of this.links.keys()) channels += link.core.channelCount
    return { links: this.links.size, channels, lines: this.lines.size }
  }

  /** Whoever dials may open channels of this group, until the returned function is called. */
  offer(name: string, port: ChannelPort): () => void {
    const group = { name, port }
    this.groups.add(group)
    return () => void this.groups.delete(group)
  }

  /** Keeps a channel to a host, over one link with all others to it. */
  keep(target: Target, port: KeepPort): Keep {
    let line = this.lines.get(target.name)
    if (line === undefined) {
      line = new Line(target, this)
      this.lines.set(target.name, line)
    }
    const keep = new Keep(line, port, this.options)
    line.join(keep)
    return keep
  }

  /** Somebody dialled this host. */
  accept(connection: Connection): ConnectionEvents {
    const { accepting } = this.options
    assert(accepting !== undefined, "a host that takes no links does not listen")
    const link = this.makeLink(undefined, accepting(), connection)
    if (this.stopping !== undefined) link.core.close(this.stopping)
    link.begin(connection)
    link.flush()
    return link.events
  }

  /** The end of a turn: what there is to say is said. */
  flush(): void {
    for (const link of this.dirty) {
      this.dirty.delete(link)
      link.flush()
    }
  }

  /** Every `tickMs`. */
  tick(): void {
    const now = this.options.clock.nowMs()
    for (const [link, line] of [...this.links]) {
      if (line?.hasLeft(link) === true) link.close(REPLACED)
      else link.tick()
    }
    for (const [name, line] of this.lines) {
      line.tick(now)
      if (line.unused && line.link === undefined) this.lines.delete(name)
    }
  }

  /** New links are refused from now on, and channels that others open. */
  refuse(goodbye: Goodbye): void {
    this.stopping = goodbye
  }

  /** Ends all links, telling why. */
  close(goodbye: Goodbye): void {
    this.stopping = goodbye
    this.lines.clear()
    for (const link of [...this.links.keys()]) link.close(goodbye)
  }

  /** For lines. */
  dial(line: Line, target: Target): StreamLink {
    const { address, unary } = target
    const link = this.makeLink(line, target.handshake(), { remote: address, unary })
    link.begin(this.options.dial(address, link.events, unary))
    return link
  }

  private makeLink(
    line: Line | undefined,
    handshake: Handshake,
    { remote, unary }: { readonly remote: string; readonly unary?: UnaryEnds | undefined }
  ): StreamLink {
    const { clock, wake, broke } = this.options
    const limits = unary === undefined ? this.options.limits : unaryLimits(this.options.limits)
    let wasOpen = false
    const link: StreamLink = new StreamLink(
      {
        limits,
        unary,
        nowMs: clock.nowMs,
        offered: (theirs) =>
          line === undefined
            ? this.offered(theirs, remote)
            : { code: "malformed", detail: "only the side that dialled opens channels" },
        opened: () => {
          wasOpen = true
          line?.opened(link)
        },
        leaving: () => line?.replace(link),
        closed: (_, end) => {
          this.links.delete(link)
          this.dirty.delete(link)
          line?.closed(link, end, wasOpen)
          broke(remote, end, wasOpen)
        },
        wake: () => {
          this.dirty.add(link)
          wake()
        }
      },
      handshake,
      remote
    )
    this.links.set(link, line)
    return link
  }

  /** One host may have several epochs of a group: the digest tells them apart. */
  private offered(theirs: Hello, remote: string): ChannelPort | Goodbye {
    if (this.stopping !== undefined) return this.stopping
    let named: ChannelPort | undefined
    for (const { name, port } of this.groups) {
      if (name !== theirs.group) continue
      named ??= port
      if (bytesEqual(port.hello().groupDigest, theirs.groupDigest)) return port
    }
    if (named !== undefined) return named
    const others = [...new Set([...this.groups].map(({ name }) => `"${name}"`))].join(", ")
    const what = `this host has no group "${theirs.group}", but ${others}`
    const young = this.options.clock.nowMs() < this.bornMs + this.options.limits.helloTimeoutMs
    const goodbye: Goodbye = young
      ? { code: "not_ready", detail: `${what}: it started just now` }
      : { code: "wrong_group", detail: `${what}: check the address in the group file` }
    this.options.broke(remote, { what: "channel", by: "us", goodbye, text: textOf(goodbye) }, false)
    return goodbye
  }
}
