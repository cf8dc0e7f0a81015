/**
 * A space-time diagram of what a tap kept, as SVG: a column for each client and node, time
 * downwards, an arrow for each message, in the colour of its phase. The same for the same events.
 */
import type { TapEvent, Who } from "../link/tap.ts"

export interface SpaceTimeOptions {
  readonly title?: string
  /** Draws only what is about this lane, and index; absent: everything. */
  readonly lane?: string
  readonly index?: number
  /** Also what links need for themselves: wants, acknowledgements and the like. */
  readonly control?: boolean
}

type Of<K extends TapEvent["kind"]> = Extract<TapEvent, { readonly kind: K }>

/** Pixels. */
const COLUMN = 150
const LEFT = 90
const HEAD = 78
const ROW_MIN = 7
const ROW_MAX = 36
const PER_MS = 4
const STUB = 34
/** What is not drawn. */
const QUIET: ReadonlySet<string> = new Set(["up", "down", "handled", "dropped", "hook"])
/** Told apart by people who see colours otherwise too. @source Okabe & Ito 2008 */
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31"]
const GREY = "#8a8f98"
const REQUEST = "#444b57"
const REPLY = "#2a9d4a"
const CONTROL: ReadonlySet<string> = new Set([
  "want",
  "resume",
  "cut",
  "behind",
  "wantLane",
  "taken",
  "epoch"
])

export const spaceTime = (
  events: ReadonlyArray<TapEvent>,
  options: SpaceTimeOptions = {}
): string => {
  const shown = events.filter((event) => isShown(event, options))
  const page = new Page(shown)
  const body = [
    ...page.columns(),
    ...page.arrows(),
    ...shown.flatMap((event) => page.mark(event)),
    ...page.bars()
  ]
  const { width, height } = page
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
      `height="${height}" font-family="system-ui, sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(LEFT - 60, 22, options.title ?? "space-time diagram", 'font-size="15" fill="#111"'),
    ...page.legend(),
    ...body,
    "</svg>",
    ""
  ].join("\n")
}

const isShown = (event: TapEvent, { lane, index, control }: SpaceTimeOptions): boolean => {
  const isMessage = event.kind === "sent" || event.kind === "received"
  if (isMessage && control !== true && CONTROL.has(event.message)) return false
  if (QUIET.has(event.kind)) return control === true && event.kind === "down"
  if (lane === undefined || !("lane" in event || isMessage)) return true
  const about = event as { readonly lane?: string; readonly index?: number }
  return about.lane === lane && (index === undefined || about.index === index)
}

/** An arrow; without `end` the message came nowhere. */
interface Arrow {
  readonly sent: Of<"sent">
  end: Of<"received"> | undefined
}

class Page {
  private readonly events: ReadonlyArray<TapEvent>
  private readonly places: ReadonlyArray<Who>
  private readonly xs = new Map<Who, number>()
  private readonly ys = new Map<number, number>()
  /** By "package.Service/Method", in order of first use. */
  private readonly colours = new Map<string, string>()
  readonly width: number
  readonly height: number

  constructor(events: ReadonlyArray<TapEvent>) {
    this.events = events
    this.places = placesOf(events)
    for (const [i, place] of this.places.entries()) this.xs.set(place, LEFT + (i + 0.5) * COLUMN)
    this.height = this.time(events)
    for (const event of events) {
      const isWord = (event.kind === "sent" || event.kind === "received") && isPhase(event)
      const method = event.kind === "said" || isWord ? event.method : undefined
      if (method === undefined || this.colours.has(method)) continue
      this.colours.set(method, PALETTE[this.colours.size % PALETTE.length]!)
    }
    this.width = LEFT + Math.max(2, this.places.length) * COLUMN + 70
  }

  /** Between two moments lies what lay between them, but neither nothing nor a desert. */
  private time(events: ReadonlyArray<TapEvent>): number {
    const moments = [...new Set(events.map(({ atMs }) => atMs))].sort((a, b) => a - b)
    let y = HEAD + 34
    for (const [i, moment] of moments.entries()) {
      const gap = i === 0 ? 0 : (moment - moments[i - 1]!) * PER_MS
      if (i > 0) y += Math.min(ROW_MAX, Math.max(ROW_MIN, gap))
      this.ys.set(moment, y)
    }
    return round(y + 40)
  }

  private x(place: Who): number {
    return this.xs.get(place)!
  }
  private y(atMs: number): number {
    return round(this.ys.get(atMs)!)
  }
  private colour(method: string | undefined): string {
    return this.colours.get(method ?? "") ?? GREY
  }

  legend(): ReadonlyArray<string> {
    const entries: ReadonlyArray<readonly [string, string]> = [
      ["request", REQUEST],
      ...[...this.colours].map(([method, colour]) => [localName(method), colour] as const),
      ["reply", REPLY]
    ]
    let x = LEFT - 60
    return entries.map(([name, colour]) => {
      const at = x
      x += 34 + 7 * name.length
      return (
        `<line x1="${at}" y1="40" x2="${at + 16}" y2="40" stroke="${colour}" stroke-width="3"/>` +
        text(at + 21, 44, name, 'fill="#333"')
      )
    })
  }

  columns(): ReadonlyArray<string> {
    const lines = this.places.map((place) => {
      const x = this.x(place)
      return (
        text(x, HEAD, nameOf(place), 'text-anchor="middle" font-size="13" fill="#111"') +
        `<line x1="${x}" y1="${HEAD + 8}" x2="${x}" y2="${this.height - 16}" stroke="#c8ccd2"/>`
      )
    })
    const ticks: Array<string> = []
    const first = this.events[0]?.atMs ?? 0
    let last = Number.NEGATIVE_INFINITY
    for (const [atMs, y] of this.ys) {
      if (y < last + 26) continue
      last = y
      ticks.push(
        text(LEFT - 12, round(y) + 4, msText(atMs - first), `text-anchor="end" fill="${GREY}"`)
      )
    }
    return [...lines, ...ticks]
  }

  arrows(): ReadonlyArray<string> {
    return pairs(this.events).map(({ sent, end }) => {
      const [x1, y1] = [this.x(sent.at), this.y(sent.atMs)]
      const to = this.xs.get(sent.to)
      if (to === undefined) return ""
      const [colour, dash] = this.strokeOf(sent)
      const about = title(`${labelOf(sent)}: ${nameOf(sent.at)} to ${nameOf(sent.to)}`)
      if (end === undefined) {
        const side = Math.sign(to - x1)
        const [x, y] = [x1 + side * STUB, y1 + 12]
        const cross = `M${x - 3},${y - 3}l6,6m0,-6l-6,6`
        return (
          `<g stroke="${colour}" fill="none"${dash}>${about}` +
          `<path d="M${x1},${y1}L${x},${y}"/><path d="${cross}" stroke="#c1121f"/></g>`
        )
      }
      const y2 = this.y(end.atMs)
      const head = arrowHead(x1, y1, to, y2)
      return (
        `<g stroke="${colour}" fill="none"${dash}>${about}` +
        `<path d="M${x1},${y1}L${to},${y2}"/><path d="${head}" fill="${colour}"/></g>`
      )
    })
  }

  private strokeOf(sent: Of<"sent">): readonly [string, string] {
    if (sent.message === "request" || sent.message === "oneWay") return [REQUEST, ""]
    if (sent.message !== "reply") {
      return isPhase(sent) ? [this.colour(sent.method), ""] : [GREY, ' stroke-dasharray="2 3"']
    }
    return sent.code === undefined ? [REPLY, ""] : ["#c1121f", ' stroke-dasharray="4 3"']
  }

  mark(event: TapEvent): ReadonlyArray<string> {
    const [x, y] = [this.x(event.at), this.y(event.atMs)]
    switch (event.kind) {
      case "said": {
        const what = `says ${localName(event.method ?? "")} ${placeOf(event)}`
        const dot = `<circle cx="${x}" cy="${y}" r="3.5" fill="${this.colour(event.method)}">`
        return [`${dot}${title(what)}</circle>`]
      }
      case "decided":
        return [diamond(x, y, "#111", `decides ${placeOf(event)}`)]
      case "final":
        return [
          diamond(x, y, event.code === undefined ? REPLY : "#c1121f", `ends ${placeOf(event)}`)
        ]
      case "booted":
        return [sign(x, y, "starts", "#333")]
      case "halted":
        return [sign(x, y, `halts: ${event.reason}`, "#c1121f")]
      case "down":
        return [sign(x, y, `no link to ${nameOf(event.peer)}`, GREY)]
      case "timer":
        return [sign(x, y, `timer ${event.name}`, "#8c6d31")]
      case "report":
        return [sign(x, y, event.what, "#c1121f")]
      default:
        return []
    }
  }

  /** From a call's beginning to its end, at its client. */
  bars(): ReadonlyArray<string> {
    const ends = new Map<string, Of<"ended">>()
    for (const event of this.events) {
      if (event.kind === "ended") ends.set(`${event.at} ${event.call}`, event)
    }
    return this.events.flatMap((event) => {
      if (event.kind !== "called") return []
      const end = ends.get(`${event.at} ${event.call}`)
      const x = this.x(event.at) - 6 - 5 * ((event.call - 1) % 4)
      const [y1, y2] = [this.y(event.atMs), end === undefined ? this.height - 16 : this.y(end.atMs)]
      const colour = end === undefined ? GREY : end.code === "ok" ? REPLY : "#c1121f"
      const outcome = end === undefined ? "" : ` ${end.code}`
      const name = `${event.call} ${localName(event.method)}${outcome}`
      return [
        `<line x1="${x}" y1="${y1}" x2="${x}" y2="${y2}" stroke="${colour}" stroke-width="3" ` +
          `stroke-linecap="round">${title(name)}</line>`,
        text(x - 5, y1 + 4, name, `text-anchor="end" font-size="9" fill="${colour}"`)
      ]
    })
  }
}

const isPhase = (event: Of<"sent"> | Of<"received">): boolean => event.message === "word"

/** Clients first, then nodes by id: as a call goes. */
const placesOf = (events: ReadonlyArray<TapEvent>): ReadonlyArray<Who> => {
  const all = new Set(events.map(({ at }) => at))
  const nodes = [...all].filter((place) => typeof place === "number")
  const clients = [...all].filter((place) => typeof place === "string")
  return [...clients.sort(), ...nodes.sort((a, b) => a - b)]
}

/** Each message that was sent, with where it came: links keep order, so the first goes first. */
const pairs = (events: ReadonlyArray<TapEvent>): ReadonlyArray<Arrow> => {
  const arrows: Array<Arrow> = []
  const open = new Map<string, Array<Arrow>>()
  for (const event of [...events].sort((a, b) => a.atMs - b.atMs)) {
    if (event.kind === "sent") {
      const arrow: Arrow = { sent: event, end: undefined }
      const key = keyOf(event, event.at, event.to)
      open.set(key, [...(open.get(key) ?? []), arrow])
      arrows.push(arrow)
    } else if (event.kind === "received") {
      const arrow = open.get(keyOf(event, event.from, event.at))?.shift()
      if (arrow !== undefined) arrow.end = event
    }
  }
  return arrows
}

const keyOf = (event: Of<"sent"> | Of<"received">, from: Who, to: Who): string => {
  const { message, lane = "", index = 0, method = "", round = 0, position = 0 } = event
  return [from, to, message, lane, index, method, round, position].join(" ")
}

const nameOf = (place: Who): string => (typeof place === "number" ? `node ${place}` : place)
const localName = (method: string): string => method.slice(method.lastIndexOf("/") + 1)
const labelOf = (event: Of<"sent">): string => {
  const name = event.method === undefined ? event.message : localName(event.method)
  return [name, placeOf(event), event.code]
    .filter((part) => part !== undefined && part !== "")
    .join(" ")
}
/** Of a session the last digits are enough to tell it from others. */
const placeOf = (about: {
  readonly lane?: string
  readonly index?: number
  readonly round?: number
}): string => {
  const { lane, index, round: voted } = about
  if (lane === undefined) return ""
  const short = lane.length > 20 ? lane.slice(-6) : lane
  return `${short}/${index ?? 0}${voted ? ` round ${voted}` : ""}`
}

const round = (value: number): number => Math.round(value * 10) / 10
const msText = (ms: number): string => `${round(ms)} ms`

const arrowHead = (x1: number, y1: number, x2: number, y2: number): string => {
  const length = Math.max(1, Math.hypot(x2 - x1, y2 - y1))
  const [dx, dy] = [(x2 - x1) / length, (y2 - y1) / length]
  const [x, y] = [x2 - 8 * dx, y2 - 8 * dy]
  const left = `${round(x - 3 * dy)},${round(y + 3 * dx)}`
  const right = `${round(x + 3 * dy)},${round(y - 3 * dx)}`
  return `M${x2},${y2}L${left}L${right}Z`
}
const diamond = (x: number, y: number, colour: string, about: string): string =>
  `<path d="M${x},${round(y - 6)}l6,6l-6,6l-6,-6Z" fill="${colour}">${title(about)}</path>`
const sign = (x: number, y: number, what: string, colour: string): string =>
  `<rect x="${x - 2}" y="${round(y - 2)}" width="4" height="4" fill="${colour}"/>` +
  text(x + 7, round(y + 3), what.slice(0, 24), `font-size="9" fill="${colour}"`)

const escaped = (plain: string): string =>
  plain
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
const title = (plain: string): string => `<title>${escaped(plain)}</title>`
const text = (x: number, y: number, plain: string, attributes: string): string =>
  `<text x="${x}" y="${y}" ${attributes}>${escaped(plain)}</text>`
