# Reference values of the R package surveillance (1.20.3 on R 4.2.2) for tests/science/test_surveillance.py, and R's record of the
# Nile at Aswan, 1871 to 1970 (Cobb 1978, Biometrika 65, 243-251), for tests/science/test_trigger.py.
# Run: Rscript surveillance.R > surveillance.json
suppressMessages(library(surveillance))
numbers <- function(x) paste0("[", paste(ifelse(is.na(x), "null", formatC(x, digits = 15, width = 1, format = "g")), collapse = ", "), "]")
field <- function(name, text) paste0("  \"", name, "\": ", text)

set.seed(7)
days <- rpois(60, 6 + 2 * sin(2 * pi * (1:60) / 7))
days[c(31, 32, 33, 50)] <- days[c(31, 32, 33, 50)] + c(8, 9, 12, 25)
ears <- lapply(c("C1", "C2", "C3"), function(method) {
  told <- earsC(sts(observed = matrix(days)), control = list(method = method, alpha = if (method == "C3") 0.025 else 0.001))
  c(rep(NA, length(days) - nrow(told)), as.numeric(upperbound(told)))
})

weekly <- function(seed, level, trend, size) {
  set.seed(seed)
  week <- 1:364
  mean <- exp(log(level) + trend * week / 364 + 0.5 * sin(2 * pi * week / 52))
  if (is.finite(size)) rnbinom(364, mu = mean, size = size) else rpois(364, mean)
}
series <- list(weekly(1, 12, 0, 5), weekly(2, 3, 0.8, Inf), weekly(3, 40, -0.4, 10), weekly(4, 0.4, 0, Inf))
series[[1]][c(180, 181, 350)] <- c(70, 80, 60)
series[[3]][c(362, 363)] <- c(150, 170)
asked <- 313:364

original <- lapply(series, function(y) {
  disProg <- create.disProg(week = 1:364, observed = y, state = rep(0, 364), start = c(2000, 1), freq = 52)
  as.numeric(algo.farrington(disProg, control = list(range = asked, b = 5, w = 3, reweight = TRUE, verbose = FALSE, alpha = 0.01,
    trend = TRUE, limit54 = c(5, 4), powertrans = "2/3"))$upperbound)
})
flexible <- function(y, kind, alpha) {
  told <- farringtonFlexible(sts(observed = matrix(y), start = c(2000, 1), frequency = 52), control = list(range = asked, b = 5, w = 3,
    reweight = TRUE, weightsThreshold = 2.58, verbose = FALSE, glmWarnings = FALSE, alpha = alpha, trend = TRUE,
    pThresholdTrend = 1, limit54 = c(5, 4), powertrans = "2/3", fitFun = "algo.farrington.fitGLM.flexible", populationOffset = FALSE,
    noPeriods = 10, pastWeeksNotIncluded = 26, thresholdMethod = kind))
  list(as.numeric(upperbound(told)), as.numeric(told@control$expected), as.numeric(told@control$phi))
}
delta <- lapply(series, flexible, kind = "delta", alpha = 0.01)
quantile <- lapply(series, flexible, kind = "nbPlugin", alpha = 0.005)
rows <- function(of) paste0("[", paste(sapply(of, numbers), collapse = ",\n    "), "]")
cat("{\n", paste(c(
  field("nile", numbers(as.numeric(Nile))), field("days", numbers(days)), field("ears_c1", numbers(ears[[1]])), field("ears_c2", numbers(ears[[2]])),
  field("ears_c3", numbers(ears[[3]])), field("weeks", rows(series)), field("asked", numbers(asked)),
  field("farrington_1996", rows(original)),
  field("noufaily_expected", rows(lapply(delta, `[[`, 2))), field("noufaily_phi", rows(lapply(delta, `[[`, 3))),
  field("noufaily_quantile", rows(lapply(quantile, `[[`, 1)))), collapse = ",\n"), "\n}\n", sep = "")
