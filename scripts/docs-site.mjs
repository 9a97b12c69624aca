// `npm run docs:site`: the documentation as a site in target/site. The reference comes from the declarations, the guides are README.md
// and docs/. Fails for a link that leads nowhere.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { install } from './prepare.mjs'
import { Complaint, listFiles, root, runAsScript, runNode } from './tools.mjs'

const site = join(root, 'target/site')
/** What typedoc reads: the pages, with links that stay right outside of the repository. */
const sources = join(root, 'target/site-sources')
const repository = 'https://github.com/pipeline/atomic'

const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CODE_OF_CONDUCT.md',
  ...listFiles(root, 'docs').filter((path) => /^docs\/[^/]+\.md$/.test(path)),
]

/** What leads through the guides, as typedoc takes it from the head of a page. */
const group = (/** @type {string} */ page) => (page.startsWith('docs/') ? 'Guides' : 'Project')

/** A link in Markdown, or of an image: what comes before the address, the address, and the heading. */
const LINK = /(\]\()(?!https?:|mailto:|#)([^)\s#]+)((?:#[^)\s]*)?\))/g

/** Copies a page. Links to what is not on the site lead to the repository. */
function prepare(/** @type {string} */ page) {
  const [, title = page, body = ''] = readFileSync(join(root, page), 'utf8').match(/^# ([^\n]+)\n(.*)/s) ?? []
  const text = body
    .replace(LINK, (_, before, address, after) => before + placed(page, address) + after)
    // typedoc's list of a page's headings leaves code out.
    .replace(/^#{2,} .*`.*$/gm, (heading) => heading.replaceAll('`', ''))
  // The first page has a title of its own.
  const head =
    page === 'README.md'
      ? ''
      : `---\ntitle: ${JSON.stringify(title.replaceAll('`', ''))}\ngroup: ${group(page)}\n---\n\n# ${title}\n`
  write(page, head + text)
}

/** Where an address of a page leads to on the site. */
function placed(/** @type {string} */ page, /** @type {string} */ address) {
  const path = posix.normalize(posix.join(posix.dirname(page), address))
  const from = join(root, path)
  if (!existsSync(from)) throw new Complaint(`${page}: a link to ${address}, which is not there`)
  if (pages.includes(path)) return address
  if (/\.(svg|png)$/.test(path)) {
    write(path, readFileSync(from))
    return address
  }
  return `${repository}/${statSync(from).isDirectory() ? 'tree' : 'blob'}/main/${path}`
}

function write(/** @type {string} */ path, /** @type {string | Buffer} */ content) {
  const to = join(sources, path)
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to, content)
}

/** Each link within the site. Those to elsewhere are not asked: a server that is down breaks no build. */
async function deadLinks() {
  const { check } = await import('linkinator')
  const linksToSkip = ['^https?://(?!localhost)']
  const { links } = await check({ path: '.', serverRoot: site, recurse: true, linksToSkip })
  return links.filter(({ state }) => state === 'BROKEN').map(({ parent, url }) => `${parent}: ${url}`)
}

/** Each link to a heading. linkinator looks for those only on pages that it has not seen before. */
function deadHeadings() {
  const all = listFiles(site, '.').filter((path) => path.endsWith('.html'))
  const read = (/** @type {string} */ path) => readFileSync(join(site, path), 'utf8')
  const ids = new Map(
    all.map((path) => [path, new Set(Array.from(read(path).matchAll(/ id="([^"]+)"/g), ([, id]) => id))]),
  )
  return all.flatMap((path) =>
    Array.from(read(path).matchAll(/<a [^>]*href="(?!https?:)([^"#]*)#([^"]+)"/g)).flatMap(
      ([, to = '', id = '']) => {
        const target = to === '' ? path : posix.join(posix.dirname(path), to)
        return ids.get(target)?.has(decodeURIComponent(id)) ? [] : [`${path}: ${to}#${id}`]
      },
    ),
  )
}

runAsScript(import.meta.url, async () => {
  await install()
  rmSync(sources, { recursive: true, force: true })
  for (const page of pages) prepare(page)
  const { code } = await runNode([join(root, 'node_modules/typedoc/bin/typedoc'), '--treatWarningsAsErrors'])
  if (code !== 0) throw new Complaint('the site could not be made')
  const dead = [...(await deadLinks()), ...deadHeadings()]
  if (dead.length > 0) throw new Complaint(`links that lead nowhere:\n${[...new Set(dead)].join('\n')}`)
  console.log('no dead links; open target/site/index.html')
})
