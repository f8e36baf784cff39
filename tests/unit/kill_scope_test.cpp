// SPDX-License-Identifier: MIT
#include "share/kill_scope.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

namespace squenv::share {
namespace {

const std::string kContainer(64, 'a');
const std::string kOtherContainer(64, 'b');
const std::string kUser = "/user.slice/user-1000.slice";
const std::string kManager = kUser + "/user@1000.service";

struct Row {
    std::string text;   ///< of /proc/PID/cgroup
    std::string scope;  ///< what is expected of it
};

TEST(Scope, CutsBelowTheInnermostUnit) {
    const std::string docker = "/system.slice/docker-" + kContainer + ".scope";
    const std::string pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice";
    const Row rows[] = {
        // Slurm, versions 2 and 1 of control groups
        {"0::/system.slice/slurmstepd.scope/job_3/step_0/user/task_1\n",
         "/system.slice/slurmstepd.scope/job_3/step_0"},
        {"0::/system.slice/slurmstepd.scope/job_3/step_0/user/task_2",
         "/system.slice/slurmstepd.scope/job_3/step_0"},
        {"0::/system.slice/node1_slurmstepd.scope/job_3/step_batch/user/task_0\n",
         "/system.slice/node1_slurmstepd.scope/job_3/step_batch"},
        {"5:cpuset:/slurm/uid_1000/job_3/step_0/task_0\n4:memory:/slurm/uid_1000/job_3/step_0\n"
         "3:devices:/\n0::/system.slice/slurmd.service\n",
         "/slurm/uid_1000/job_3/step_0\n/system.slice/slurmd.service"},
        // logins: one for all of a user
        {"0::" + kUser + "/session-2.scope\n", kUser},
        {"0::" + kUser + "/session-c7.scope/below\n", kUser},
        {"2:devices:/user.slice\n1:name=systemd:" + kUser +
             "/session-2.scope\n"
             "0::" +
             kUser + "/session-2.scope\n",
         "/user.slice\n" + kUser},
        {"0::" + kUser + "\n", kUser},
        // units of users
        {"0::" + kManager + "/app.slice/x.service\n", kManager + "/app.slice/x.service"},
        {"0::" + kManager + "/app.slice/x.service/sub/group\n", kManager + "/app.slice/x.service"},
        {"0::" + kManager + "/app.slice/run-r1f.scope\n", kManager + "/app.slice/run-r1f.scope"},
        {"0::" + kManager + "/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1-2.scope\n",
         kManager + "/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1-2.scope"},
        {"0::" + kUser + "/screen.scope\n", kUser + "/screen.scope"},
        {"0::" + kUser + "/a.service\n", kUser + "/a.service"},
        {"0::" + kManager + "/init.scope\n", kManager + "/init.scope"},
        // units of the system
        {"0::/system.slice/runner.service\n", "/system.slice/runner.service"},
        {"0::/system.slice/system-getty.slice/getty@tty1.service\n",
         "/system.slice/system-getty.slice/getty@tty1.service"},
        {"0::/machine.slice/machine-qemu.scope/libvirt/emulator\n",
         "/machine.slice/machine-qemu.scope"},
        // containers
        {"0::" + docker + "\n", docker},
        {"0::" + docker + "/init\n", docker},
        {"0::/docker/" + kContainer + "/sub\n", "/docker/" + kContainer},
        {"12:pids:/docker/" + kContainer + "\n1:name=systemd:/docker/" + kContainer + "\n0::/\n",
         "/docker/" + kContainer},
        {"0::/docker/" + kContainer + "/docker/" + kOtherContainer + "/x\n",
         "/docker/" + kContainer + "/docker/" + kOtherContainer},
        {"0::" + pod + "/crio-" + kContainer + ".scope/container\n",
         pod + "/crio-" + kContainer + ".scope"},
        {"0::/kubepods/burstable/pod1/" + kContainer + "\n",
         "/kubepods/burstable/pod1/" + kContainer},
        {"0::" + kManager + "/user.slice/libpod-" + kContainer + ".scope/container\n",
         kManager + "/user.slice/libpod-" + kContainer + ".scope"},
        {"0::/libpod_parent/libpod-" + kContainer + "/below\n",
         "/libpod_parent/libpod-" + kContainer},
        {"0::/lxc.payload.c1" + kUser + "/session-1.scope\n", "/lxc.payload.c1" + kUser},
        {"0::/machine.slice/systemd-nspawn@c1.service/payload/system.slice/x.service\n",
         "/machine.slice/systemd-nspawn@c1.service/payload/system.slice/x.service"},
        {"0::/../../system.slice/x.service/below\n", "/../../system.slice/x.service"},
        {"0::/../" + kContainer + "/y\n", "/../" + kContainer},
        // other batch systems
        {"0::/system.slice/htcondor/condor_var_lib_condor_execute_slot1_1@n/control\n",
         "/system.slice/htcondor/condor_var_lib_condor_execute_slot1_1@n"},
        {"0::/system.slice/condor.service/htcondor/condor_slot1_2@n\n",
         "/system.slice/condor.service/htcondor/condor_slot1_2@n"},
        {"0::/pbs_jobs.service/jobid/12.server/below\n", "/pbs_jobs.service/jobid/12.server"},
        {"0::/pbs_jobs.service/jobs/12.server\n", "/pbs_jobs.service/jobs/12.server"},
        {"9:memory:/lsf/c1/job.7.1.9\n1:name=systemd:/system.slice/lsfd.service\n",
         "/lsf/c1/job.7.1.9\n/system.slice/lsfd.service"},
        {"4:cpuset:/oar/user_17\n1:name=systemd:/\n", "/oar/user_17"},
        // none of it
        {"0::/\n", "/"},
        {"", ""},
        {"nonsense\n\n:\n", ""},
        {"0::\n", ""},
        {"0::relative\n", "relative"},
    };
    for (const auto& row : rows) EXPECT_EQ(kill_scope_of_cgroups(row.text), row.scope) << row.text;
}

TEST(Scope, UnitsOfAUserAreNotTogether) {
    const auto of = [](const std::string& path) {
        return kill_scope_of_cgroups("0::" + path + "\n");
    };
    EXPECT_NE(of(kUser + "/session-1.scope"), of(kManager + "/app.slice/x.service"));
    EXPECT_NE(of(kManager + "/app.slice/x.service"), of(kManager + "/app.slice/y.service"));
    EXPECT_NE(of("/job_3/step_0/task_0"), of("/job_3/step_1/task_0"));
    EXPECT_EQ(of(kUser + "/session-1.scope"), of(kUser + "/session-2.scope"));
}

using Variables = std::map<std::string, std::string>;

VariableLookup lookup_in(const Variables& variables) {
    return [variables](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::string() : found->second;
    };
}

std::string jobs_of(const Variables& variables) {
    return kill_scope_of_jobs(lookup_in(variables));
}

TEST(Scope, JobsAreToldApartByTheirVariables) {
    const std::pair<Variables, Variables> rows[] = {
        {{{"SLURM_JOB_ID", "1"}}, {{"SLURM_JOB_ID", "2"}}},
        {{{"SLURM_JOB_ID", "1"}}, {{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "0"}}},
        {{{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURMD_NODENAME", "a"}},
         {{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURMD_NODENAME", "b"}}},
        {{{"JOB_ID", "1"}, {"SGE_TASK_ID", "undefined"}},
         {{"JOB_ID", "2"}, {"SGE_TASK_ID", "undefined"}}},
        {{{"JOB_ID", "1"}, {"SGE_TASK_ID", "1"}}, {{"JOB_ID", "1"}, {"SGE_TASK_ID", "2"}}},
        {{{"OAR_JOB_ID", "1"}}, {{"OAR_JOB_ID", "2"}}},
        {{{"_CONDOR_SLOT", "slot1_1"}}, {{"_CONDOR_SLOT", "slot1_2"}}},
        {{{"_CONDOR_SCRATCH_DIR", "/a/dir_1"}}, {{"_CONDOR_SCRATCH_DIR", "/a/dir_2"}}},
        {{{"_CONDOR_JOB_AD", "/a/dir_1/.job.ad"}}, {{"_CONDOR_JOB_AD", "/a/dir_2/.job.ad"}}},
        {{{"PBS_JOBID", "1"}}, {{"PBS_JOBID", "2"}}},
        {{{"PBS_JOBID", "1[]"}, {"PBS_ARRAY_INDEX", "1"}},
         {{"PBS_JOBID", "1[]"}, {"PBS_ARRAY_INDEX", "2"}}},
        {{{"PBS_JOBID", "1"}, {"PALS_APID", "a"}}, {{"PBS_JOBID", "1"}, {"PALS_APID", "b"}}},
        {{{"LSB_JOBID", "1"}, {"LSB_JOBINDEX", "1"}}, {{"LSB_JOBID", "1"}, {"LSB_JOBINDEX", "2"}}},
        {{{"FLUX_JOB_ID", "f1"}, {"FLUX_URI", "local:///a"}},
         {{"FLUX_JOB_ID", "f1"}, {"FLUX_URI", "local:///b"}}},
        {{{"LOADL_STEP_ID", "n.1.0"}}, {{"LOADL_STEP_ID", "n.1.1"}}},
        {{{"PJM_JOBID", "1"}}, {{"PJM_JOBID", "2"}}},
        {{{"COBALT_JOBID", "1"}}, {{"COBALT_JOBID", "2"}}},
        {{{"JENKINS_URL", "u"}, {"BUILD_ID", "1"}}, {{"JENKINS_URL", "u"}, {"BUILD_ID", "2"}}},
        {{{"JENKINS_NODE_COOKIE", "a"}}, {{"JENKINS_NODE_COOKIE", "b"}}},
        {{{"JENKINS_SERVER_COOKIE", "durable-a"}}, {{"JENKINS_SERVER_COOKIE", "durable-b"}}},
        {{{"CI_JOB_ID", "1"}}, {{"CI_JOB_ID", "2"}}},
        {{{"GITHUB_RUN_ID", "1"}, {"GITHUB_JOB", "a"}},
         {{"GITHUB_RUN_ID", "1"}, {"GITHUB_JOB", "b"}}},
        {{{"RUNNER_TRACKING_ID", "github_a"}}, {{"RUNNER_TRACKING_ID", "github_b"}}},
        {{{"BUILDKITE_JOB_ID", "a"}}, {{"BUILDKITE_JOB_ID", "b"}}},
        {{{"TEAMCITY_VERSION", "1"}, {"BUILD_NUMBER", "1"}},
         {{"TEAMCITY_VERSION", "1"}, {"BUILD_NUMBER", "2"}}},
        {{{"SYSTEM_JOBID", "a"}}, {{"SYSTEM_JOBID", "b"}}},
        {{{"bamboo_buildResultKey", "A-1"}}, {{"bamboo_buildResultKey", "A-2"}}},
        {{{"CIRCLE_WORKFLOW_JOB_ID", "a"}}, {{"CIRCLE_WORKFLOW_JOB_ID", "b"}}},
        {{{"ALPS_APP_ID", "1"}}, {{"ALPS_APP_ID", "2"}}},
    };
    for (const auto& [first, second] : rows) {
        EXPECT_NE(jobs_of(first), jobs_of(second)) << first.begin()->first;
        EXPECT_NE(jobs_of(first), "") << first.begin()->first;
        EXPECT_EQ(jobs_of(first), jobs_of(first));
    }
}

TEST(Scope, VariablesThatOthersUseToo) {
    for (const char* name : {"JOB_ID", "BUILD_ID", "BUILD_NUMBER", "BUILD_TAG", "FLUX_URI",
                             "LSB_JOBINDEX", "SLURM_PROCID"})
        EXPECT_EQ(jobs_of({{name, "1"}}), "") << name;
    EXPECT_EQ(jobs_of({}), "");
    // The tasks of a step are together.
    EXPECT_EQ(jobs_of({{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_TASK_PID", "7"}}),
              jobs_of({{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_TASK_PID", "8"}}));
}

TEST(Scope, NamesTheJobThatKills) {
    const std::pair<Variables, std::string> rows[] = {
        {{}, ""},
        {{{"SLURM_JOB_ID", "7"}, {"SLURM_STEP_ID", "0"}}, "Slurm step 7.0"},
        {{{"SLURM_JOB_ID", "7"}, {"SLURM_TASK_PID", "99"}}, "Slurm job 7"},
        {{{"SLURM_JOB_ID", "7"}}, ""},  // a shell of salloc
        {{{"JOB_ID", "40001"}, {"SGE_TASK_ID", "undefined"}}, "Grid Engine job 40001"},
        {{{"JOB_ID", "40001"}}, ""},
        {{{"OAR_JOB_ID", "5"}}, "OAR job 5"},
        {{{"_CONDOR_SLOT", "slot1"}}, "this HTCondor job"},
        {{{"PBS_JOBID", "12.server"}}, "PBS job 12.server"},
        {{{"PBS_JOBID", "12.server"}, {"PALS_APID", "x"}}, "this Cray application"},
        {{{"LSB_JOBID", "3"}}, "LSF job 3"},
        {{{"FLUX_JOB_ID", "f2"}}, "Flux job f2"},
        {{{"LOADL_STEP_ID", "n.1.0"}}, "LoadLeveler step n.1.0"},
        {{{"PJM_JOBID", "8"}}, "Fujitsu TCS job 8"},
        {{{"COBALT_JOBID", "9"}}, "Cobalt job 9"},
        {{{"JENKINS_URL", "u"}, {"BUILD_TAG", "jenkins-a-1"}}, "Jenkins build jenkins-a-1"},
        {{{"JENKINS_NODE_COOKIE", "c"}}, "this Jenkins build"},
        {{{"CI", "true"}, {"CI_JOB_ID", "4"}}, "GitLab CI job 4"},
        {{{"CI", "true"}, {"GITHUB_RUN_ID", "1"}, {"GITHUB_JOB", "test"}},
         "GitHub Actions job test"},
        {{{"BUILDKITE_JOB_ID", "a"}}, "Buildkite job a"},
        {{{"TEAMCITY_VERSION", "1"}, {"BUILD_NUMBER", "6"}}, "TeamCity build 6"},
        {{{"SYSTEM_JOBID", "guid"}}, "this Azure Pipelines job"},
        {{{"CI", "true"}}, "this CI job"},
        {{{"GITLAB_CI", "1"}}, "this CI job"},
        {{{"CI", "false"}}, ""},
    };
    for (const auto& [variables, job] : rows) EXPECT_EQ(killing_job(lookup_in(variables)), job);
}

TEST(Scope, LastsAndListsTheGroups) {
    EXPECT_EQ(kill_scope(), kill_scope());
    EXPECT_NE(kill_scope().find("\ngroups "), std::string::npos);
}

}  // namespace
}  // namespace squenv::share
