using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>What the options of a model may be, each for itself and together.</summary>
[Trait("Area", "Options")]
public sealed class ModelOptionsCheckTests
{
    [Theory]
    [InlineData("")]
    [InlineData("Device=host")]
    [InlineData("Device=cuda:0,cuda:1")]
    [InlineData("Device=host, opencl:12")]
    [InlineData("Device=mine")]
    [InlineData("DType=keep")]
    [InlineData("DType=BF16")]
    [InlineData("DType=f8_e4m3fnuz")]
    [InlineData("WorldSize=4;Rank=3")]
    [InlineData("Layout=Model;Include:0=a;Exclude:0=b;Implementation=Native;Map=m.json;Weights=w;Strict=false;DType=f16")]
    [InlineData("Layout=Sharded;Verify=false;WorldSize=2;Rank=0;DType=bf16;Weights=w;Implementation=Generic")]
    [InlineData("Manifest=m.json;ReloadMode=Replace;Variant=fp16;Root=state_dict;Lenient=true;AllowUnknownGlobals=true")]
    [InlineData("WatchInterval=00:00:05")]
    [InlineData("Path=hf://org/name@main;Stream=true")]
    [InlineData("LoadOnStart=false;Required=true;OnFailure=Retry;Watch=true;WatchDebounce=00:00:00")]
    [InlineData("LeaseTimeout=-00:00:00.001")]
    [InlineData("LeaseTimeout=00:00:00")]
    public void Run_OptionsThatMeanSomething_HasNothingToSay(string settings) => Assert.Empty(Run(settings.StartsWith("Path", StringComparison.Ordinal) ? settings : $"Path=models/llama;{settings}"));

    [Theory]
    [InlineData("Path= ", "Path: is missing; it is the checkpoint: a file, a folder or an index, or its address")]
    [InlineData("Path=hf://org/name;Watch=true", "Watch: is for local folders, and the weights have an address; ask for a reload by call")]
    [InlineData("Path=gs://a/b", "Path: 'gs://a/b' has no scheme that is known; addresses are hf://organisation/name[@revision][/path], ms://owner/name[@revision][/path], https://host/path/file, https://host/path/, s3://BUCKET[/PREFIX or KEY].")]
    [InlineData("Path=http://u:pw@host/", "Path: http://host/ was given with a user or a password in it, which would end up in histories and logs; leave them out.")]
    [InlineData("Path=hf://org/name@", "Path: hf://org/name@: the revision '' is refused: it has 0 characters, and 1 to 2048 are allowed.")]
    [InlineData("Path=models/llama;Layout=Model;Weights=s3://b/x", "Weights: 's3://b/x' is no address of an object storage: a bucket's name has 3 to 255 letters and digits of ASCII, '-', '.' and '_', and begins with a letter or digit. The form is s3://BUCKET[/PREFIX or KEY].")]
    [InlineData("Stream=true", "Stream: is for weights that have an address, and these are local files")]
    [InlineData("Device=", "Device: is empty; it is auto, host, cuda:0, opencl:0, several of these with commas between them, or the name of a device that was given to AddDevice")]
    [InlineData("Device=gpu", "Device: 'gpu' is no device; it is auto, host, cuda:0, opencl:0, several of these with commas between them, or the name of a device that was given to AddDevice")]
    [InlineData("Device=cuda:0,,cuda:1", "Device: '' is no device; it is auto, host, cuda:0, opencl:0, several of these with commas between them, or the name of a device that was given to AddDevice")]
    [InlineData("Device=meta", "Device: 'meta' is no device; it is auto, host, cuda:0, opencl:0, several of these with commas between them, or the name of a device that was given to AddDevice")]
    [InlineData("Device=mine,host", "Device: 'mine' is no device; it is auto, host, cuda:0, opencl:0, several of these with commas between them, or the name of a device that was given to AddDevice")]
    [InlineData("Device=cuda:0, cuda:0", "Device: 'cuda:0, cuda:0' has a device twice; every device of a group is named once")]
    [InlineData("DType=q4_0", "DType: 'q4_0' is none of keep, f32, f16, bf16, f64, f8_e4m3, f8_e5m2, f8_e4m3fnuz, f8_e5m2fnuz")]
    [InlineData("DType=", null)]
    [InlineData("WorldSize=0", "WorldSize: 0 is not between 1 and 1024")]
    [InlineData("WorldSize=2;Rank=2", "Rank: the ranks are 0 to 1; there is no rank 2")]
    [InlineData("WorldSize=2;Rank=-1", "Rank: the ranks are 0 to 1; there is no rank -1")]
    [InlineData("Rank=1", "Rank: there is one rank, 0, and no rank 1; WorldSize is how many there are")]
    [InlineData("Lanes=0", "Lanes: 0 is not between 1 and 1024")]
    [InlineData("StagingBytes=65535", "StagingBytes: 65535 bytes are less than 65536, a slot of the smallest size")]
    [InlineData("WatchInterval=00:00:00", "WatchInterval: 00:00:00 is not above 0 and at most 49.17:02:47.2940000")]
    [InlineData("WatchDebounce=-00:00:01", "WatchDebounce: -00:00:01 is not between 0 and 49.17:02:47.2940000")]
    [InlineData("LeaseTimeout=-00:00:01", "LeaseTimeout: -00:00:01 is not between 0 and 49.17:02:47.2940000, nor -00:00:00.0010000, which is for ever")]
    [InlineData("Include:0=", "Include: has an item that is empty, and matches no tensor")]
    [InlineData("Implementation=Native", "Implementation: chooses a layout of the architecture; it is for Layout Model or Sharded, and this is Checkpoint")]
    [InlineData("Map=m", "Map: changes names for a layout; it is for Layout Model, and this is Checkpoint")]
    [InlineData("Weights=w", "Weights: is for a layout, whose configuration is elsewhere; it is for Layout Model or Sharded, and this is Checkpoint")]
    [InlineData("Strict=false", "Strict: is about the parameters of a layout; it is for Layout Model, and this is Checkpoint")]
    [InlineData("Verify=false", "Verify: is about the manifests of ranks; it is for Layout Sharded, and this is Checkpoint")]
    [InlineData("Layout=Model;Verify=false", "Verify: is about the manifests of ranks; it is for Layout Sharded, and this is Model")]
    [InlineData("Layout=Model;Manifest=m", "Manifest: has the hashes of a checkpoint's own tensors; it is for Layout Checkpoint, and this is Model")]
    [InlineData("Layout=Sharded;ReloadMode=Replace", "ReloadMode: is about tensors that are replaced all at once; it is for Layout Checkpoint, and this is Sharded")]
    [InlineData("Layout=Sharded;Include:0=a", "Include: chooses among tensors, and of what a rank has saved all is loaded; it is for Layout Checkpoint or Model, and this is Sharded")]
    [InlineData("Layout=Sharded;Exclude:0=a", "Exclude: chooses among tensors, and of what a rank has saved all is loaded; it is for Layout Checkpoint or Model, and this is Sharded")]
    [InlineData("Layout=Sharded;Map=m", "Map: changes names, and what a rank has saved has the layout's; it is for Layout Model, and this is Sharded")]
    [InlineData("Layout=Sharded;Strict=false", "Strict: accepts a part of a model, and what a rank has saved is all of its share; it is for Layout Model, and this is Sharded")]
    [InlineData("Layout=Sharded;Variant=fp16", "Variant: chooses among the files of a checkpoint; it is for Layout Checkpoint or Model, and this is Sharded")]
    [InlineData("Layout=Sharded;Index=i", "Index: chooses among the files of a checkpoint; it is for Layout Checkpoint or Model, and this is Sharded")]
    [InlineData("Layout=Sharded;Root=r", "Root: chooses a part of a checkpoint; it is for Layout Checkpoint or Model, and this is Sharded")]
    [InlineData("Layout=Sharded;Lenient=true", "Lenient: is about GGUF files; it is for Layout Checkpoint or Model, and this is Sharded")]
    [InlineData("Layout=Sharded;AllowUnknownGlobals=true", "AllowUnknownGlobals: is about PyTorch files; it is for Layout Checkpoint or Model, and this is Sharded")]
    [InlineData("Manifest=m;WorldSize=2;Rank=0", "Manifest: has the hashes of whole tensors, and a rank of several loads slices; leave it out, or WorldSize")]
    public void Run_AnOptionThatIsWrong_IsNamed(string settings, string? problem) =>
        Assert.Equal(problem is null ? [] : [$"At:{problem}"], Run(settings.StartsWith("Path", StringComparison.Ordinal) ? settings : $"Path=models/llama;{settings}"));

    [Fact]
    public void Run_ValuesThatOnlyCodeCanSet_AreNamedToo()
    {
        var model = new HostedModelOptions { Path = "a\0b", Layout = (HostedLayout)9, ReadMode = (ReadMode)9, OnFailure = (FailureBehavior)9 };
        Assert.Equal(
            [
                "At:Path: 'a\\u0000b' is no path: it has a zero character",
                "At:Layout: '9' is none of Checkpoint, Model, Sharded",
                "At:ReadMode: '9' is none of Auto, Buffered, Direct, Mapped",
                "At:OnFailure: '9' is none of Stop, Retry, Degrade",
            ],
            ModelOptionsCheck.Run("At", model, _ => false));
    }

    [Fact]
    public void Run_SeveralRanks_TheLauncherSaysWhich()
    {
        var model = new HostedModelOptions { Path = "p", WorldSize = 4 };
        Assert.Empty(ModelOptionsCheck.Run("At", model, _ => false, name => name switch { "RANK" => "3", "WORLD_SIZE" => "4", _ => null }));
        Assert.Equal(new TensorParallel(4, 3), ModelRank.Of(model, name => name switch { "RANK" => "3", "WORLD_SIZE" => "4", _ => null }));
        var none = Assert.Single(ModelOptionsCheck.Run("At", model, _ => false, _ => null));
        Assert.StartsWith("At:Rank: is missing, and the launcher does not say it: The number of ranks is 4, but the rank is not given", none, StringComparison.Ordinal);
        Assert.DoesNotContain("Parameter", none, StringComparison.Ordinal);
        Assert.Contains("is given as 4, but WORLD_SIZE", Assert.Single(ModelOptionsCheck.Run("At", model, _ => false, name => name switch { "RANK" => "3", "WORLD_SIZE" => "8", _ => null })), StringComparison.Ordinal);
        Assert.Equal(new TensorParallel(1, 0), ModelRank.Of(new HostedModelOptions(), _ => throw new InvalidOperationException("One rank asks nobody.")));
    }

    // The limits are those of the loaders, which are asked here.
    [Theory]
    [InlineData("StagingBytes", 65536, 65535)]
    [InlineData("Lanes", 1, 0)]
    [InlineData("Lanes", 1024, 1025)]
    [InlineData("WorldSize", 1024, 1025)]
    public async Task Run_AtALimit_AgreesWithThePlanner(string key, int accepted, int refused)
    {
        using var folder = new TemporaryFolder();
        await using var checkpoint = await Checkpoint.OpenAsync(folder.Write("model.safetensors", SafetensorsBuilder.Tiny()));
        Assert.Empty(Run($"Path=p;Rank=0;{key}={accepted}"));
        Assert.Single(Run($"Path=p;Rank=0;{key}={refused}"));
        _ = new CheckpointLoader().Plan(checkpoint, Options(accepted));
        _ = Assert.ThrowsAny<ArgumentException>(() => new CheckpointLoader().Plan(checkpoint, Options(refused)));

        LoadOptions Options(int value) => key switch
        {
            "StagingBytes" => new LoadOptions { StagingBytes = value },
            "Lanes" => new LoadOptions { Lanes = value },
            _ => new LoadOptions { TensorParallel = new TensorParallel(value, 0) },
        };
    }

    [Fact]
    public void Names_OfDTypes_AreTheTargetsOfCodecs()
    {
        Assert.All(Codecs.Targets, target => Assert.True(ModelDType.TryParse(target.Name, out var dtype) && dtype == target));
        Assert.True(ModelDType.TryParse(null, out var none));
        Assert.Null(none);
        Assert.False(ModelDType.TryParse("F4", out _));
    }

    [Theory]
    [InlineData("llama", true)]
    [InlineData("Llama-3.1_8B", true)]
    [InlineData(".hidden", true)]
    [InlineData("", false)]
    [InlineData(".", false)]
    [InlineData("..", false)]
    [InlineData("a/b", false)]
    [InlineData("a b", false)]
    [InlineData("ä", false)]
    [InlineData("a\n", false)]
    public void IsValid_ANameOfAModel_HasNothingThatAUrlTakesForItself(string name, bool isValid) => Assert.Equal(isValid, ModelName.IsValid(name));

    [Fact]
    public void IsValid_SixtyFourCharacters_AreTheMost()
    {
        Assert.True(ModelName.IsValid(new string('a', 64)));
        Assert.False(ModelName.IsValid(new string('a', 65)));
    }

    private static IReadOnlyList<string> Run(string settings)
    {
        var model = new HostedModelOptions();
        Assert.Empty(SectionReader.Read(ConfigurationOf.Pairs(settings.Split(';', StringSplitOptions.RemoveEmptyEntries)), model));
        return ModelOptionsCheck.Run("At", model, name => name == "mine", _ => null);
    }
}
