"""Notifications: events become messages on channels, and the bell of each person.

`dispatch` turns events into deliveries, one for each channel that wants them; `delivery` sends what
is due, at least once, with tries further and further apart; `inbox` is what a person has not seen.
"""
