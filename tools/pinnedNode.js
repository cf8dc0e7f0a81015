// Runs before the repository's own scripts, in whatever Node they would run in: plain JavaScript.
// `npm run` puts node_modules/.bin first, so the pinned Node of package.json runs them, whichever
// Node started npm. This says so when it is not there.
import { readFileSync } from "node:fs"

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"))
const pinned = manifest.devDependencies.node
const major = (version) => Number(version.split(".")[0])

if (major(process.versions.node) < major(pinned)) {
  process.stderr.write(
    `This repository runs on its own Node ${pinned}; here runs Node ${process.versions.node}` +
      ` (${process.execPath}).\n` +
      "Use its scripts (npm test, npm start, npm run …) after `npm ci`. If npm was told not to" +
      " run install scripts: npm rebuild node --ignore-scripts=false\n"
  )
  process.exit(1)
}
