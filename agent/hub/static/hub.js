// Makes the pages a little nicer; without it everything works as well, by reloading.

// A part that is still moving (data-poll="address") is looked at again until it has come to rest.
const PAUSE_MS = 2000;

function lookAgain() {
  const part = document.querySelector("[data-poll]");
  if (!part) return;
  const request = new XMLHttpRequest();
  request.responseType = "document"; // parsed, never run
  request.onload = () => {
    const newer = request.responseXML && request.responseXML.getElementById(part.id);
    if (request.status === 200 && newer && newer.outerHTML !== part.outerHTML) part.replaceWith(newer);
    setTimeout(lookAgain, PAUSE_MS);
  };
  request.onerror = () => setTimeout(lookAgain, 5 * PAUSE_MS);
  request.open("GET", part.dataset.poll);
  request.send();
}
setTimeout(lookAgain, PAUSE_MS);

// Text that is there to be pasted gets a button that copies it.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue; // over plain http to another machine browsers have none
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}
