/** What becomes of a source: addresses, front matter, links; and of a hostile one: nothing bad. */

import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CompressionType, FilterType, Transformer } from '@napi-rs/image'
import { parseXml } from '@rgrove/parse-xml'
import { describe, expect, test } from 'vitest'
import { siteFiles } from '../../examples/site/demo/inspect'
import { folderOf, resolveLink } from '../../examples/site/lib/addresses'
import { build, namesIn, URL_OF_SITE, useWorkplace } from './support'

const place = useWorkplace()

const json = (name: string) => JSON.parse(place.read(name))

describe('a page', () => {
  test('becomes HTML, JSON and text under a pretty address', async () => {
    place.put('guide/intro.md', '# On oaks\n\nOaks are trees that live for a very long time.\n')
    place.put('guide/README.md', 'The guide.')
    await build(place)
    expect(namesIn(join(place.out, 'guide'))).toEqual([
      'index.html',
      'index.json',
      'index.txt',
      'intro/index.html',
      'intro/index.json',
      'intro/index.txt',
    ])
    expect(json('guide/intro/index.json')).toMatchObject({
      url: `${URL_OF_SITE}guide/intro/`,
      title: 'On oaks',
      description: 'Oaks are trees that live for a very long time.',
      html: expect.stringContaining('<h1 id="on-oaks">On oaks</h1>'),
    })
    expect(place.read('guide/intro/index.txt')).toMatch(
      /^On oaks\n.*\n\n# On oaks\n[\s\S]*\nSource: .*guide\/intro\/\n$/,
    )
  })

  test('has its title from the front matter, else from its first heading, else from its path', async () => {
    place.put('a.md', '---\ntitle: From above\ndate: 2024-05-01\ndescription: Short.\n---\n# Heading\n')
    place.put('b.md', 'Text.\n\n## A *heading* of `code` &amp; more\n')
    place.put('c.md', 'Text.\n')
    place.put('d.md', '---\ntitle: 2024\n---\n')
    await build(place)
    expect(json('a/index.json')).toMatchObject({
      title: 'From above',
      date: '2024-05-01T00:00:00.000Z',
      description: 'Short.',
    })
    expect(json('b/index.json').title).toBe('A heading of code & more')
    expect(json('c/index.json').title).toBe('c.md')
    expect(json('d/index.json').title).toBe('2024')
    expect(place.read('c/index.html')).toContain('<h1>c.md</h1>')
  })

  test('may begin with a rule that is no front matter', async () => {
    place.put('a.md', '---\nA heading\n---\n\nText.\n')
    place.put('b.md', '---\n\nText without an end\n')
    await build(place)
    expect(json('a/index.json').title).toBe('A heading')
    expect(json('b/index.json').html).toContain('<hr')
  })

  test('links to other pages and images where they are, and to nothing that is not there', async () => {
    place.put(
      'guide/a.md',
      '[b](b.md#part) [up](../c.md) [c](/c.md) ![i](i.svg) [code](../lib/x.js) [e](https://e.org/x.md) [h](#here)\n',
    )
    place.put('guide/b.md', '<a href="./a.md">a</a>\n')
    place.put('c.md', 'C')
    place.put('guide/i.svg', '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h1"/></svg>')
    await build(place)
    const { html } = json('guide/a/index.json')
    const targets = [...html.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, target]) => target)
    const expected = [
      '../../guide/b/#part',
      '../../c/',
      '../../c/',
      '../../guide/i.svg',
      'https://e.org/x.md',
      '#here',
    ]
    expect(targets).toEqual(expected)
    const local = expected
      .filter((target) => target.startsWith('..'))
      .map((target) => target.replace(/#.*|$/, ''))
    const files = await siteFiles(place.out)
    for (const target of local) {
      const path = join('guide/a', target)
      expect(files).toContain(path.endsWith('/') ? `${path}index.html` : path)
    }
    expect(json('guide/b/index.json').html).toContain('href="../../guide/a/"')
  })

  test.each([
    ['a.md', 'a'],
    ['README.md', 'README'],
    ['docs/README.md', 'docs'],
    ['docs/Index.MD', 'docs'],
    ['docs/my readme.md', 'docs/my readme'],
  ])('%s is at /%s/', (source, folder) => expect(folderOf(source)).toBe(folder))

  test('of a name that means something in an address is found by it', async () => {
    place.put('50% of #1?.md', '# Half\n')
    await build(place)
    expect(namesIn(place.out)).toContain('50% of #1?/index.html')
    expect(place.read('index.html')).toContain('href="50%25%20of%20%231%3F/"')
    expect(resolveLink('50%25%20of%20%231%3F.md', 'a.md')).toBe('../50%25%20of%20%231%3F/')
  })
})

describe('a hostile source', () => {
  const evil = `"><script>alert(1)</script>&'\u0001]]>`

  test('gets no markup through its front matter or headings into any output', async () => {
    place.put(
      'a.md',
      `---\ntitle: ${JSON.stringify(evil)}\ndescription: ${JSON.stringify(evil)}\n---\nText\n`,
    )
    place.put('b.md', '# <script>alert(2)</script> `</title><script>alert(3)</script>`\n')
    await build(place)
    for (const name of ['index.html', 'a/index.html', 'b/index.html']) {
      expect(place.read(name)).not.toMatch(/<script>|alert\(2\)/)
    }
    expect(json('a/index.json').title).toBe(`"><script>alert(1)</script>&'\uFFFD]]>`)
    for (const name of ['sitemap.xml', 'rss.xml']) expect(() => parseXml(place.read(name))).not.toThrow()
    expect(parseXml(place.read('rss.xml')).text).toContain(`"><script>alert(1)</script>&'\uFFFD]]>`)
  })

  test.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '[x](javascript:alert(1))',
    '<a href="jAvAsCrIpT:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<svg><script>alert(1)</script></svg>',
    '<iframe src="https://evil.example/?alert(1)"></iframe>',
    '<style>@import "https://evil.example/?alert(1)"</style>',
    '<p style="background:url(javascript:alert(1))">x</p>',
    '![x](data:image/svg+xml;base64,alert(1))',
    '<base href="https://evil.example/?alert(1)">',
    '<form action="https://evil.example/?alert(1)"><input></form>',
    '# <img src=x onerror=alert(1)> "onmouseover=alert(1)',
    '</main></body></html><script>alert(1)</script>',
  ])('gets nothing that acts into a page: %s', async (text) => {
    place.put('a.md', text)
    await build(place)
    const page = place.read('a/index.html').split('<main>')[1] ?? ''
    expect(page).not.toMatch(
      /<script|<iframe|<style|<base|<form|<svg|javascript:|data:|<[^>]*\s(?:on\w+|style)=/i,
    )
    expect(page.match(/<\/html>/g)).toHaveLength(1)
  })

  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`)}]`),
  ]
  test.each([
    ['YAML that is none', 'title: [', /a\.md: front matter, line 2: /],
    ['a key twice', 'title: a\ntitle: b', /a\.md: front matter, line 3: .*unique/],
    ['a title that is a list', 'title: [a]', /a\.md: front matter: title is not a text/],
    ['a date that is none', 'date: soon', /a\.md: front matter: date is not a date/],
    ['a date beyond all calendars', 'date: "+275760-01-01"', /a\.md: front matter: date is not a date/],
    ['a draft of sorts', 'draft: perhaps', /a\.md: front matter: draft is neither/],
    ['a few lines that stand for gigabytes', bomb.join('\n'), /a\.md: Excessive alias count/],
  ])('with %s is named, and nothing is written', async (_, yaml, message) => {
    place.put('good.md', '# Good\n')
    place.put('a.md', `---\n${yaml}\n---\nText\n`)
    await expect(build(place)).rejects.toThrow(message)
    await expect(build(place)).rejects.toMatchObject({ name: 'SiteError' })
    expect(() => namesIn(place.out)).toThrow('ENOENT')
  })

  test('with keys that mean something to JavaScript changes nothing', async () => {
    place.put('a.md', '---\n__proto__: {title: X, polluted: true}\nconstructor: 1\ntoString: 2\n---\n# Y\n')
    place.put('b.md', '---\ntitle: !!js/function "function(){}"\n---\n')
    await build(place)
    expect(json('a/index.json').title).toBe('Y')
    expect(json('b/index.json').title).toBe('function(){}')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('all that are wrong are named at once', async () => {
    place.put('a.md', '---\ntitle: [\n---\n')
    place.put('b.md', Buffer.from([0x23, 0x20, 0xff, 0xfe]))
    await expect(build(place)).rejects.toThrow(/a\.md: .*\nb\.md: is not UTF-8$/)
  })

  test.each([
    [['a.md', 'a/index.md'], /a\.md and a\/index\.md would both become a\/index\.html/],
    [
      ['sitemap.xml.md'],
      /the site itself becomes the file sitemap\.xml, which sitemap\.xml\.md needs as a folder/,
    ],
    [['a.md', 'a/index.json.md'], /becomes the file a\/index\.json/],
  ])('%j: two for one place are refused', async (names, message) => {
    for (const name of names) place.put(name, 'x')
    await expect(build(place)).rejects.toThrow(message)
  })

  test('a link out of the folder is not followed', async () => {
    writeFileSync(join(place.root, 'secret.md'), '# Secret')
    symlinkSync(join(place.root, 'secret.md'), join(place.source, 'link.md'))
    symlinkSync(place.root, join(place.source, 'folder'))
    expect(await build(place)).toMatchObject({ pages: 0 })
  })
})

describe('images and assets', () => {
  test('are smaller than they were and show the same', async () => {
    const noise = Buffer.from(
      Array.from({ length: 64 * 64 * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i >> 4) % 251)),
    )
    const fast = { compressionType: CompressionType.Fast, filterType: FilterType.NoFilter }
    const png = await Transformer.fromRgbaPixels(noise, 64, 64).png(fast)
    place.put('a/noise.png', png)
    place.put(
      'a/drawing.svg',
      '<svg xmlns="http://www.w3.org/2000/svg"><!-- x --><script>alert(1)</script><path d="M 0.000 0.000 L 10.000 0"/></svg>',
    )
    await build(place)
    const smaller = readFileSync(join(place.out, 'a/noise.png'))
    expect(smaller.length).toBeLessThan(png.length)
    // It is grey, and may be kept as such: one value a pixel instead of four.
    const greys = async (image: Buffer) => {
      const values = await new Transformer(image).rawPixels()
      return Array.from({ length: 64 * 64 }, (_, i) => values[(i * values.length) / (64 * 64)])
    }
    expect(await greys(smaller)).toEqual(await greys(png))
    expect(place.read('a/drawing.svg')).not.toMatch(/script|<!--/)
    expect(place.read('a/drawing.svg')).toContain('<path')
  })

  test('an image that is none is named, and nothing is left', async () => {
    place.put('a.md', 'x')
    place.put('b/broken.png', 'this is no image')
    await expect(build(place)).rejects.toThrow(/^b\/broken\.png: /)
    expect(() => namesIn(place.out)).toThrow('ENOENT')
  })

  test('the stylesheet and the script are minified, and named after what is in them', async () => {
    place.put('a.md', 'x')
    await build(place)
    const assets = namesIn(join(place.out, 'assets'))
    expect(assets.map((name) => name.replace(/\.[0-9a-f]{10}\./, '.'))).toEqual([
      'icon.png',
      'logo.svg',
      'site.js',
      'style.css',
    ])
    for (const kind of ['css', 'js']) {
      const text = place.read(join('assets', assets.find((name) => name.endsWith(kind)) as string))
      expect(text.trim().split('\n')).toHaveLength(1)
    }
    for (const name of assets) expect(place.read('a/index.html')).toContain(`"../assets/${name}"`)
  })
})
