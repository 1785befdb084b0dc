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
