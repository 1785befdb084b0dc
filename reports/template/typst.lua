-- What pandoc's Typst writer leaves out.

local function literal(text)
  return '"' .. text:gsub('\\', '\\\\'):gsub('"', '\\"') .. '"'
end

-- Typst reads "--", "-?" and "..." as other characters; a string is taken as it is.
function Str(element)
  if element.text:find('%-[%-?]') or element.text:find('%.%.%.') then
    return pandoc.RawInline('typst', '#' .. literal(element.text) .. ';')
  end
end

-- A reader who cannot see the figure gets its words in the PDF too.
function Image(element)
  local alternative = element.attributes.alt or pandoc.utils.stringify(element.caption)
  return pandoc.RawInline(
    'typst',
    '#image(' .. literal(element.src) .. ', alt: ' .. literal(alternative) .. ');'
  )
end

-- A section that begins a new page.
function Header(element)
  if element.classes:includes('new-page') then
    return { pandoc.RawBlock('typst', '#pagebreak(weak: true)'), element }
  end
end

-- The numbers of a reduced run, which count for nothing.
function Span(element)
  if element.classes:includes('aside') then
    local content = element.content
    content:insert(1, pandoc.RawInline('typst', '#text(fill: luma(125))['))
    content:insert(pandoc.RawInline('typst', ']'))
    return content
  end
end

-- What only a page with scripts can show.
function Div(element)
  if element.classes:includes('page-only') then
    return {}
  end
end
