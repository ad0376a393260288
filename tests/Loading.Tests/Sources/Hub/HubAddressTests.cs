using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HubAddressTests
{
    [Theory]
    [InlineData("hf://acme/tiny", "acme/tiny", HubRepositoryKind.Model, null, "")]
    [InlineData("hf://acme/tiny/", "acme/tiny", HubRepositoryKind.Model, null, "")]
    [InlineData("HF://acme/tiny", "acme/tiny", HubRepositoryKind.Model, null, "")]
    [InlineData("hf://gpt2", "gpt2", HubRepositoryKind.Model, null, "")]
    [InlineData("hf://gpt2@main/onnx/model.onnx", "gpt2", HubRepositoryKind.Model, "main", "onnx/model.onnx")]
    [InlineData("hf://acme/tiny@v1.0/model.safetensors", "acme/tiny", HubRepositoryKind.Model, "v1.0", "model.safetensors")]
    [InlineData("hf://acme/tiny@refs/pr/3", "acme/tiny", HubRepositoryKind.Model, "refs/pr/3", "")]
    [InlineData("hf://acme/tiny@refs/pr/3/sub/x", "acme/tiny", HubRepositoryKind.Model, "refs/pr/3", "sub/x")]
    [InlineData("hf://acme/tiny@refs%2Fpr%2F3/x", "acme/tiny", HubRepositoryKind.Model, "refs/pr/3", "x")]
    [InlineData("hf://acme/tiny@feature%2Fx", "acme/tiny", HubRepositoryKind.Model, "feature/x", "")]
    [InlineData("hf://datasets/acme/data", "acme/data", HubRepositoryKind.Dataset, null, "")]
    [InlineData("hf://datasets/squad", "squad", HubRepositoryKind.Dataset, null, "")]
    [InlineData("hf://spaces/acme/app@main", "acme/app", HubRepositoryKind.Space, "main", "")]
    [InlineData("hf://models/acme/tiny/a b.bin", "acme/tiny", HubRepositoryKind.Model, null, "a b.bin")]
    [InlineData("acme/tiny@v1", "acme/tiny", HubRepositoryKind.Model, "v1", "")]
    public void Parse_Address_HasItsParts(string address, string name, HubRepositoryKind kind, string? revision, string path)
    {
        var parsed = HubAddress.Parse(address);
        Assert.Equal((name, kind, revision, path), (parsed.Repository.Name, parsed.Repository.Kind, parsed.Revision, parsed.Path));
        Assert.Equal(parsed, HubAddress.Parse(parsed.ToString()));
    }

    [Theory]
    [InlineData("gpt2", HubRepositoryKind.Model, null, "a.gguf", "hf://gpt2@main/a.gguf")]
    [InlineData("gpt2", HubRepositoryKind.Model, null, "", "hf://gpt2")]
    [InlineData("squad", HubRepositoryKind.Dataset, null, "a/b", "hf://datasets/squad@main/a/b")]
    [InlineData("datasets/x", HubRepositoryKind.Model, null, "a", "hf://models/datasets/x/a")]
    [InlineData("acme/tiny", HubRepositoryKind.Model, null, "a.gguf", "hf://acme/tiny/a.gguf")]
    public void ToString_Address_IsWhatParseTakes(string name, HubRepositoryKind kind, string? revision, string path, string text) =>
        Assert.Equal(text, new HubAddress(new HubRepository(name, kind), revision, path).ToString());

    [Fact]
    public void Parse_WhatToStringGives_IsTheSame()
    {
        string[] names = ["gpt2", "a", "acme/tiny", "acme/tiny-1.5", "models", "datasets", "models/x", "datasets/x", "spaces/x", "refs/pr"];
        string?[] revisions = [null, "main", "v1.0", "refs/pr/3", "refs/convert/parquet", "feature/x", "a@b", "a%2Fb", "a b", "ä", new string('0', 40)];
        string[] paths = ["", "a.gguf", "sub/a b.bin", "a@b", "models/x", "refs/pr/3", "100%25.bin", "a%2Fb", "ä/ö.json"];
        foreach (var name in names)
        {
            foreach (var revision in revisions)
            {
                foreach (var path in paths)
                {
                    foreach (var kind in Enum.GetValues<HubRepositoryKind>())
                    {
                        var address = new HubAddress(new HubRepository(name, kind), revision, path);
                        var parsed = HubAddress.Parse(address.ToString());
                        Assert.Equal((address.Repository, address.Revision ?? "main", address.Path), (parsed.Repository, parsed.Revision ?? "main", parsed.Path));
                    }
                }
            }
        }
    }

    [Theory]
    [InlineData("hf://")]
    [InlineData("hf:///tiny")]
    [InlineData("hf://acme/-tiny")]
    [InlineData("hf://acme/tiny.")]
    [InlineData("hf://acme/ti--ny")]
    [InlineData("hf://acme/ti..ny")]
    [InlineData("hf://acme/tiny.git")]
    [InlineData("hf://acme/tiny%2F..")]
    [InlineData("hf://../tiny")]
    [InlineData("https://huggingface.co/acme/tiny")]
    public void Parse_NoAddressOfTheHub_Throws(string address) => Assert.Throws<ArgumentException>(() => HubAddress.Parse(address));

    [Theory]
    [InlineData("hf://acme/tiny@..")]
    [InlineData("hf://acme/tiny@%2Fetc%2Fpasswd")]
    [InlineData("hf://acme/tiny@a%2F..%2F..%2Fb")]
    [InlineData("hf://acme/tiny@a%00b")]
    [InlineData("hf://acme/tiny@main.lock")]
    [InlineData("hf://acme/tiny/../x")]
    [InlineData("hf://acme/tiny/a//b")]
    [InlineData("hf://acme/tiny/a\\b")]
    [InlineData("hf://acme/tiny/C:x")]
    public void Parse_NameThatLeadsElsewhere_IsRefused(string address) =>
        Assert.Equal(RemoteFailure.Unsafe, Assert.Throws<RemoteException>(() => HubAddress.Parse(address)).Failure);

    [Theory]
    [InlineData("models--acme--tiny", "hf://acme/tiny")]
    [InlineData("models--gpt2", "hf://gpt2")]
    [InlineData("datasets--acme--data", "hf://datasets/acme/data")]
    [InlineData("models--a--b--c", null)]
    [InlineData("models", null)]
    [InlineData("blobs--a--b", null)]
    [InlineData(".locks", null)]
    public void OfFolder_NameInACache_IsTheRepository(string folder, string? address)
    {
        var repository = HubRepository.OfFolder(folder);
        Assert.Equal(address, repository?.ToString());
        Assert.Equal(address is null ? null : folder, repository?.FolderName);
    }

    [Fact]
    public void Repository_LongestName_IsTaken()
    {
        Assert.Equal(96, new HubRepository(new string('a', 96)).Name.Length);
        Assert.Throws<ArgumentException>(() => new HubRepository(new string('a', 97)));
    }
}
