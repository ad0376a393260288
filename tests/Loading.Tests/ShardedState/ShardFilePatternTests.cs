using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What the files of a sharded state are called.</summary>
public sealed class ShardFilePatternTests
{
    [Fact]
    public void The_default_is_vllms()
    {
        Assert.Equal("model-rank-{rank}-part-{part}.safetensors", ShardFilePattern.Default.Text);
        Assert.Equal("model-rank-3-part-12.safetensors", ShardFilePattern.Default.Format(3, 12));
        Assert.Equal("12_of_3.st", ShardFilePattern.Parse("{part}_of_{rank}.st").Format(3, 12));
        Assert.Equal("{part}_of_{rank}.st", ShardFilePattern.Parse("{part}_of_{rank}.st").ToString());
    }

    [Theory]
    [InlineData("a/{rank}-{part}", "base name")]
    [InlineData("a\\{rank}-{part}", "base name")]
    [InlineData("{rank}-{part}\n", "base name")]
    [InlineData("{rank}.safetensors", "lacks {part}")]
    [InlineData("{part}.safetensors", "lacks {rank}")]
    [InlineData("{rank}-{part}-{part}", "{part} is there twice")]
    [InlineData("{rank}-{rank}-{part}", "{rank} is there twice")]
    [InlineData("{rank}-{part}-{world}", "no other placeholders")]
    [InlineData("{rank}-{part}-}", "no other placeholders")]
    [InlineData("{rank:02}-{part}-{rank}", "no other placeholders")]
    [InlineData("{rank}{part}", "no digit")]
    [InlineData("{part}07{rank}", "no digit")]
    public void What_is_no_pattern_is_refused(string text, string problem)
    {
        var exception = Assert.Throws<ArgumentException>(() => ShardFilePattern.Parse(text));
        Assert.Contains(problem, exception.Message, StringComparison.Ordinal);
        Assert.Contains(ShardFilePattern.DefaultText, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_parts_of_the_rank_are_found_whatever_stands_for_the_part_in_natural_order()
    {
        using var folder = new TemporaryFolder();
        foreach (var name in (string[])["model-rank-1-part-10.safetensors", "model-rank-1-part-9.safetensors", "model-rank-1-part-x y.safetensors", "model-rank-1-part-.safetensors",
            "model-rank-11-part-0.safetensors", "model-rank-0-part-0.safetensors", "model-rank-1-part-1.safetensors.tmp", "xmodel-rank-1-part-1.safetensors", "rank-1.json"])
        {
            folder.Write(name, "");
        }

        Directory.CreateDirectory(folder["model-rank-1-part-3.safetensors"]);
        Assert.Equal(
            ["model-rank-1-part-.safetensors", "model-rank-1-part-9.safetensors", "model-rank-1-part-10.safetensors", "model-rank-1-part-x y.safetensors"],
            ShardFilePattern.Default.FindParts(folder.Path, 1).Select(path => Path.GetFileName(path)));
    }

    [Theory]
    [InlineData("{rank}-{part}", "1-5", 1, true)]
    [InlineData("{rank}-{part}", "11-5", 1, false)]
    [InlineData("{part}-{rank}", "5-1", 1, true)]
    [InlineData("{part}-{rank}", "5-11", 1, false)]
    [InlineData("{part}-{rank}", ".hidden-1", 1, false)]
    [InlineData("{part}2-2{rank}", "52-21", 1, true)]
    [InlineData("{part}2-2{rank}", "52-221", 1, false)]
    [InlineData("*{rank}-{part}", "x1-5", 1, false)]
    [InlineData("*{rank}-{part}", "*1-5", 1, true)]
    public void A_name_is_that_of_one_rank(string pattern, string name, int rank, bool matches) =>
        Assert.Equal(matches, ShardFilePattern.Parse(pattern).Matches(name, rank));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void No_files_is_an_error_that_shows_folder_and_pattern(bool hasFolder)
    {
        using var folder = new TemporaryFolder();
        folder.Write("model-rank-0-part-0.safetensors", "");
        var path = hasFolder ? folder.Path : folder["none"];
        var exception = Assert.Throws<InvalidCheckpointException>(() => ShardFilePattern.Default.FindParts(path, 7));
        Assert.Equal(CheckpointErrorCode.NoWeights, exception.Code);
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
        Assert.Contains("'model-rank-7-part-*.safetensors'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("only a state that was saved shard by shard", exception.Message, StringComparison.Ordinal);
    }
}
