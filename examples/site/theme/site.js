// @ts-nocheck: this runs in a browser, and the type check has Node's types.
//
// The search box of the front page hides pages that do not match. Without this script all pages are listed.
const box = document.querySelector('input[type=search]')
const items = [...document.querySelectorAll('.pages li')]
const words = items.map((item) => item.textContent.toLowerCase())

if (box) {
  box.hidden = false
  box.addEventListener('input', () => {
    const wanted = box.value.toLowerCase().split(/\s+/)
    items.forEach((item, i) => {
      item.hidden = !wanted.every((word) => words[i].includes(word))
    })
  })
}
