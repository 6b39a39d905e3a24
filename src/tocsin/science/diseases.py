"""Diseases with their published numbers: COVID-19 as it was in early 2020, and Ebola as it was in West Africa in 2014."""

from __future__ import annotations

from tocsin.science.agents import Disease, Wait

COVID_2020 = Disease(
    name="COVID-19, early 2020",
    source=(
        "Kerr et al. 2021, Covasim, PLoS Comput Biol 17:e1009149, as the defaults of covasim 4.0.1 have it (durations: Lauer 2020, Linton 2020, Chen "
        "2020, Wölfel 2020, Verity 2020; susceptibility: Zhang 2020; severity: Ferguson 2020 report 9, O'Driscoll 2020, Brazeau 2020); serial interval: "
        "Du, Xu, Wu, Wang, Cowling, Meyers 2020, Emerg Infect Dis 26:1341-1343 (468 pairs, mean 3.96 d, sd 4.75 d)"
    ),
    transmission=0.016,
    layer_weight=(3.0, 0.6, 0.6, 0.3, 0.3, 0.6),  # the last: in a shelter as at work (unverified)
    latent=Wait(4.5, 1.5),
    to_symptoms=Wait(1.1, 0.9),
    to_severe=Wait(6.6, 4.9),
    to_critical=Wait(1.5, 2.0),
    end_silent=Wait(8.0, 2.0),
    end_mild=Wait(8.0, 2.0),
    end_severe=Wait(18.1, 6.3),
    end_critical=Wait(18.1, 6.3),
    to_death=Wait(10.7, 4.8),
    susceptible=(0.34, 0.67, 1.0, 1.0, 1.0, 1.0, 1.24, 1.47, 1.47, 1.47),
    symptoms=(0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.90),
    severe=(0.00050, 0.00165, 0.00720, 0.02080, 0.03430, 0.07650, 0.13280, 0.20655, 0.24570, 0.24570),
    critical=(0.00003, 0.00008, 0.00036, 0.00104, 0.00216, 0.00933, 0.03639, 0.08923, 0.17420, 0.17420),
    dying=(0.00002, 0.00002, 0.00010, 0.00032, 0.00098, 0.00265, 0.00766, 0.02439, 0.08292, 0.16190),
    serial_mean_d=3.96,
    serial_sd_d=4.75,
    spread_shape=0.45,
    early_share=0.3,
    early_ratio=2.0,
    early_days=4.0,
)

# What the sources do not say is marked `unverified`: the stays in hospital (5th and 6th number), and the chance that a contact infects, which is
# ours: with it a case infects about two others in a made-up town, as the first cases in Sierra Leone did (R0 2.02, 1.79 to 2.26).
EBOLA_2014 = Disease(
    name="Ebola, West Africa 2014",
    source=(
        "WHO Ebola Response Team 2014, N Engl J Med 371:1481-1495: incubation 11.4 d, serial interval 15.3 d (sd 9.3), onset to hospital 5.0 d (sd 4.7), "
        "70.8 % of cases died; shape of the incubation: King et al. 2015, Proc R Soc B 282:20150347 (gamma, shape 3); unverified: 4.2 d (sd 6.4) in "
        "hospital to death, 11.8 d (sd 6.1) to discharge, transmission and the weights of its layers"
    ),
    transmission=0.11,
    layer_weight=(1.0, 0.05, 0.05, 0.05, 0.02, 0.05),
    latent=Wait(11.4, 6.58, "gamma"),
    to_symptoms=Wait(0.0, 0.0),
    to_severe=Wait(5.0, 4.7, "gamma"),
    to_critical=Wait(0.0, 0.0),
    end_silent=Wait(0.0, 0.0),
    end_mild=Wait(11.8, 6.1, "gamma"),
    end_severe=Wait(11.8, 6.1, "gamma"),
    end_critical=Wait(11.8, 6.1, "gamma"),
    to_death=Wait(4.2, 6.4, "gamma"),
    susceptible=(1.0,),
    symptoms=(1.0,),
    severe=(1.0,),
    critical=(0.708,),
    dying=(0.708,),
    serial_mean_d=15.3,
    serial_sd_d=9.3,
)

BY_WORD = {"covid-2020": COVID_2020, "ebola-2014": EBOLA_2014}  # as a command names them
