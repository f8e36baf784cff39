// SPDX-License-Identifier: MIT
#include "mount/scope.h"

#include <gtest/gtest.h>

namespace squenv::mount {
namespace {

TEST(Scope, TasksOfAStepAreTogether) {
    EXPECT_EQ(scope_of_cgroups("0::/system.slice/slurmstepd.scope/job_3/step_0/user/task_1\n"),
              "/system.slice/slurmstepd.scope/job_3/step_0");
    EXPECT_EQ(scope_of_cgroups("0::/system.slice/slurmstepd.scope/job_3/step_0/user/task_2"),
              "/system.slice/slurmstepd.scope/job_3/step_0");
}

TEST(Scope, StepsOfAJobAreNot) {
    EXPECT_NE(scope_of_cgroups("0::/job_3/step_0/task_0\n"),
              scope_of_cgroups("0::/job_3/step_1/task_0\n"));
}

TEST(Scope, AStepCountsInWhicheverHierarchyItIs) {
    EXPECT_EQ(scope_of_cgroups("5:cpuset:/\n4:memory:/slurm/uid_1000/job_3/step_batch/task_0\n"
                               "0::/system.slice/slurmd.service\n"),
              "/slurm/uid_1000/job_3/step_batch");
}

TEST(Scope, LoginsOfAUserAreTogether) {
    EXPECT_EQ(scope_of_cgroups("0::/user.slice/user-1000.slice/session-2.scope\n"),
              scope_of_cgroups("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x\n"));
}

TEST(Scope, ServicesAndContainersAreWhole) {
    EXPECT_EQ(scope_of_cgroups("0::/system.slice/runner.service\n"),
              "/system.slice/runner.service");
    EXPECT_EQ(scope_of_cgroups("0::/\n"), "/");
}

TEST(Scope, TextThatIsNoneOfIt) {
    EXPECT_EQ(scope_of_cgroups(""), "");
    EXPECT_EQ(scope_of_cgroups("nonsense\n\n:\n"), "");
}

}  // namespace
}  // namespace squenv::mount
