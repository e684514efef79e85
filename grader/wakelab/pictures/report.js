/* The time lines of the report: each is in the page already, as data. */
"use strict";

for (const place of document.querySelectorAll(".run")) {
  const line = wakelabTimeline(place, {title: place.dataset.title});
  line.add(JSON.parse(place.dataset.marks));
  line.fit();
}
