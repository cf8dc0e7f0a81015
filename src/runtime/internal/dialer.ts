/** Keeps one link to an address: dials, and dials again after a back-off, until it is stopped. */
import { mayRetry } from "../../base/errorCode.ts"
import type { Limits } from "../../base/limits.ts"
import type { Goodbye } from "../../link/frame.ts"
import type { Carrier } from "../Carrier.ts"
import { isHealthy, type Link, type LinkClosed } from "./link.ts"

export interface DialerOptions {
  readonly carrier: Carrier["Service"]
  readonly address: string
  readonly limits: Limits
  /** A fresh link; its owner tells the dialer `opened` and `closed`. */
  readonly makeLink: () => Link
}

export class Dialer {
  link: Link | undefined
  private readonly options: DialerOptions
  private backoffMs: number
  private timer: ReturnType<typeof setTimeout> | undefined
  private stopped = false
  /** The link before was refused for good; this one may have opened before it is, too. */
  private refused = false

  constructor(options: DialerOptions) {
    this.options = options
    this.backoffMs = options.limits.redialMsMin
  }

  dial(): void {
    this.timer = undefined
    if (this.stopped) return
    const { carrier, address, makeLink } = this.options
    const link = makeLink()
    this.link = link
    link.begin(carrier.dial(address, link.events))
  }

  opened(): void {
    if (!this.refused) this.backoffMs = this.options.limits.redialMsMin
  }

  /**
   * The link is gone: another one follows, after half to all of the back-off, which is long where
   * one side refused the other, and grows longer where that was for good: it takes an operator.
   */
  closed({ goodbye }: LinkClosed): void {
    const { redialMsMax, redialRefusedMsMax } = this.options.limits
    this.link = undefined
    if (this.stopped || this.timer !== undefined) return
    const ill = goodbye !== undefined && !isHealthy(goodbye)
    this.refused = ill && !mayRetry(goodbye.code)
    const most = this.refused ? redialRefusedMsMax : redialMsMax
    this.backoffMs = ill ? Math.max(this.backoffMs, redialMsMax) : this.backoffMs
    const waitMs = Math.min(this.backoffMs, most) * (0.5 + Math.random() / 2)
    this.backoffMs = Math.min(2 * this.backoffMs, most)
    this.timer = setTimeout(() => this.dial(), waitMs)
  }

  stop(goodbye: Goodbye): void {
    this.stopped = true
    clearTimeout(this.timer)
    this.timer = undefined
    this.link?.cut(goodbye)
  }
}
