using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class RankInfoTests
{
    [Theory]
    [InlineData("torchrun", 3, 8, 1, 2, 1, "RANK=3", "WORLD_SIZE=8", "LOCAL_RANK=1", "LOCAL_WORLD_SIZE=2", "GROUP_RANK=1")]
    [InlineData("torchrun", 0, 1, null, null, null, "RANK=0", "WORLD_SIZE=1")]
    [InlineData("Open MPI", 5, 6, 2, 3, null, "OMPI_COMM_WORLD_RANK=5", "OMPI_COMM_WORLD_SIZE=6", "OMPI_COMM_WORLD_LOCAL_RANK=2", "OMPI_COMM_WORLD_LOCAL_SIZE=3", "OMPI_COMM_WORLD_NODE_RANK=2")]
    [InlineData("SLURM", 7, 16, 3, null, 1, "SLURM_PROCID=7", "SLURM_NTASKS=16", "SLURM_LOCALID=3", "SLURM_NODEID=1")]
    [InlineData("an indexed job of Kubernetes", 2, 4, null, null, null, "JOB_COMPLETION_INDEX=2", "WORLD_SIZE=4")]
    public void Each_launcher_tells_the_rank(string source, int rank, int world, int? local, int? localWorld, int? node, params string[] variables)
    {
        var info = From(null, variables);
        Assert.Equal((rank, world, local, localWorld, node, source), (info.Rank, info.WorldSize, info.LocalRank, info.LocalWorldSize, info.Node, info.Source));
        Assert.Equal(new TensorParallel(world, rank), info.TensorParallel);
    }

    [Fact]
    public void Without_anything_there_is_one_process()
    {
        Assert.Same(RankInfo.Only, From(null));
        Assert.Same(RankInfo.Only, From(null, "RANK=", "WORLD_SIZE=", "SLURM_NTASKS="));
        Assert.Same(RankInfo.Only, From(new RankInfoOptions { WorldSize = 1 }));
        Assert.Equal(new TensorParallel(1, 0), RankInfo.Only.TensorParallel);
    }

    [Fact]
    public void The_launcher_that_a_process_was_started_by_counts_before_those_around_it()
    {
        string[] all =
        [
            "RANK=1", "WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=2", "OMPI_COMM_WORLD_SIZE=3", "SLURM_PROCID=3", "SLURM_NTASKS=4", "JOB_COMPLETION_INDEX=0",
        ];
        Assert.Equal(("torchrun", 1, 2), Short(From(null, all)));
        Assert.Equal(("Open MPI", 2, 3), Short(From(null, all[2..])));
        Assert.Equal(("SLURM", 3, 4), Short(From(null, all[4..])));
        // A number of ranks alone is no sign of torchrun: scripts set it for what they start.
        Assert.Equal(("SLURM", 3, 4), Short(From(null, ["WORLD_SIZE=9", .. all[4..]])));
    }

    [Fact]
    public void Options_are_taken_alone_where_they_say_all()
    {
        string[] environment = ["RANK=x", "WORLD_SIZE=2", "LOCAL_RANK=1"];
        var info = From(new RankInfoOptions { Rank = 5, WorldSize = 6, LocalRank = 1 }, environment);
        Assert.Equal(("options", 5, 6), Short(info));
        Assert.Equal(1, info.LocalRank);
        Assert.Null(From(new RankInfoOptions { Rank = 5, WorldSize = 6 }, environment).LocalRank);
    }

    [Fact]
    public void Options_say_what_the_environment_does_not()
    {
        Assert.Equal(("an indexed job of Kubernetes", 2, 4), Short(From(new RankInfoOptions { WorldSize = 4 }, "JOB_COMPLETION_INDEX=2")));
        Assert.Equal(("torchrun", 2, 4), Short(From(new RankInfoOptions { Rank = 2 }, "WORLD_SIZE=4")));
        Assert.Equal(1, From(new RankInfoOptions { LocalRank = 1 }, "RANK=2", "WORLD_SIZE=4").LocalRank);
        Assert.Equal(("torchrun", 2, 4), Short(From(new RankInfoOptions { WorldSize = 4 }, "RANK=2", "WORLD_SIZE=4")));
    }

    [Theory]
    [InlineData("RANK is '1', as torchrun sets it, but WORLD_SIZE is not set", "RANK=1")]
    [InlineData("WORLD_SIZE is '4', as torchrun sets it, but RANK is not set", "WORLD_SIZE=4")]
    [InlineData("WORLD_SIZE is '4' and LOCAL_RANK is '1', as torchrun sets it, but RANK is not set", "WORLD_SIZE=4", "LOCAL_RANK=1")]
    [InlineData("OMPI_COMM_WORLD_RANK is '0', as Open MPI sets it, but OMPI_COMM_WORLD_SIZE is not set", "OMPI_COMM_WORLD_RANK=0")]
    [InlineData("SLURM_NTASKS is '4', as SLURM sets it, but SLURM_PROCID is not set", "SLURM_NTASKS=4")]
    [InlineData("JOB_COMPLETION_INDEX is '1', as an indexed job of Kubernetes sets it, but WORLD_SIZE is not set", "JOB_COMPLETION_INDEX=1", "WORLD_SIZE=")]
    [InlineData("RANK is 'a\\u001b', and a number that is not negative was expected", "RANK=a\u001b", "WORLD_SIZE=2")]
    [InlineData("RANK is '-1', and a number that is not negative was expected", "RANK=-1", "WORLD_SIZE=2")]
    [InlineData("WORLD_SIZE is '99999999999', and a number", "RANK=1", "WORLD_SIZE=99999999999")]
    [InlineData("LOCAL_RANK is '1.0', and a number", "RANK=1", "WORLD_SIZE=2", "LOCAL_RANK=1.0")]
    [InlineData("but RANK is 2 and WORLD_SIZE is 2", "RANK=2", "WORLD_SIZE=2")]
    [InlineData("but SLURM_PROCID is 5 and SLURM_NTASKS is 4", "SLURM_PROCID=5", "SLURM_NTASKS=4")]
    [InlineData("There is at least one rank, but WORLD_SIZE is 0", "RANK=0", "WORLD_SIZE=0")]
    [InlineData("but LOCAL_RANK is 2 and LOCAL_WORLD_SIZE is 2", "RANK=2", "WORLD_SIZE=4", "LOCAL_RANK=2", "LOCAL_WORLD_SIZE=2")]
    [InlineData("but LOCAL_RANK is 4 and WORLD_SIZE is 4", "RANK=2", "WORLD_SIZE=4", "LOCAL_RANK=4")]
    [InlineData("LOCAL_WORLD_SIZE is 8 and WORLD_SIZE is 4", "RANK=2", "WORLD_SIZE=4", "LOCAL_WORLD_SIZE=8")]
    public void What_is_wrong_is_named_with_variables_and_values(string part, params string[] variables) =>
        Assert.Contains(part, Assert.Throws<ArgumentException>(() => From(null, variables)).Message, StringComparison.Ordinal);

    [Fact]
    public void Options_that_contradict_are_refused()
    {
        Refused(new RankInfoOptions { Rank = 1 }, "The rank is 1, but the number of ranks is not given");
        Refused(new RankInfoOptions { WorldSize = 2 }, "The number of ranks is 2, but the rank is not given");
        Refused(new RankInfoOptions { LocalRank = 1 }, "The local rank is 1, but rank and number of ranks are not given");
        Refused(new RankInfoOptions { Rank = 2, WorldSize = 2 }, "but the rank is 2 and the number of ranks is 2");
        Refused(new RankInfoOptions { Rank = -1, WorldSize = 2 }, "but the rank is -1 and the number of ranks is 2");
        Refused(new RankInfoOptions { Rank = 0, WorldSize = 0 }, "but the number of ranks is 0");
        Refused(new RankInfoOptions { Rank = 0, WorldSize = 2, LocalRank = 2 }, "but the local rank is 2 and the number of ranks is 2");
        Refused(new RankInfoOptions { WorldSize = 4 }, "The number of ranks is given as 4, but WORLD_SIZE is 8", "RANK=1", "WORLD_SIZE=8");
        Refused(new RankInfoOptions { Rank = 2 }, "The rank is given as 2, but RANK is 1", "RANK=1", "WORLD_SIZE=8");

        static void Refused(RankInfoOptions options, string part, params string[] variables) =>
            Assert.Contains(part, Assert.Throws<ArgumentException>(() => From(options, variables)).Message, StringComparison.Ordinal);
    }

    private static (string Source, int Rank, int WorldSize) Short(RankInfo info) => (info.Source, info.Rank, info.WorldSize);

    private static RankInfo From(RankInfoOptions? options, params string[] variables)
    {
        var environment = variables.Select(variable => variable.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1], StringComparer.Ordinal);
        return RankInfo.From(options, environment.GetValueOrDefault);
    }
}
