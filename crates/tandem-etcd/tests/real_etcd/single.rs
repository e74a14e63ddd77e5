//! The cases of every mediator, with an etcd of one member.

use crate::{Etcd, cases};

#[test]
fn presence_is_pushed_and_a_later_boot_takes_the_place_of_an_earlier_one() {
    cases::presence_is_pushed_and_a_later_boot_takes_the_place_of_an_earlier_one(&Etcd::start());
}

#[test]
fn presence_lasts_for_a_session_after_the_last_sign_of_life_and_then_ends() {
    cases::presence_lasts_for_a_session_after_the_last_sign_of_life_and_then_ends(&Etcd::start());
}

#[test]
fn signs_of_life_keep_a_presence_and_leaving_ends_it_at_once() {
    cases::signs_of_life_keep_a_presence_and_leaving_ends_it_at_once(&Etcd::start());
}

#[test]
fn a_change_takes_effect_only_on_the_revision_it_names() {
    cases::a_change_takes_effect_only_on_the_revision_it_names(&Etcd::start());
}

#[test]
fn of_two_changes_of_one_revision_one_wins() {
    cases::of_two_changes_of_one_revision_one_wins(&Etcd::start());
}

#[test]
fn a_boot_that_is_present_is_not_taken_over_from() {
    cases::a_boot_that_is_present_is_not_taken_over_from(&Etcd::start());
}

#[test]
fn what_is_not_answered_is_unknown_and_the_record_tells() {
    cases::what_is_not_answered_is_unknown_and_the_record_tells(&mut Etcd::start());
}

#[test]
fn a_server_that_dies_in_the_middle_keeps_what_it_said() {
    cases::a_server_that_dies_in_the_middle_keeps_what_it_said(&mut Etcd::start());
}

#[test]
fn whoever_loses_its_data_has_another_life() {
    cases::whoever_loses_its_data_has_another_life(&mut Etcd::start());
}

#[test]
fn a_mediator_that_is_not_there_is_said_to_be_down() {
    cases::a_mediator_that_is_not_there_is_said_to_be_down(&mut Etcd::start());
}
