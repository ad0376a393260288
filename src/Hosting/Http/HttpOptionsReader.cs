using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Binds <see cref="HttpOptions"/> and says all that is wrong with them at once, each with its key.</summary>
/// <param name="section">The section; null for none.</param>
internal sealed class HttpOptionsReader(IConfigurationSection? section) : IConfigureOptions<HttpOptions>, IValidateOptions<HttpOptions>
{
    private readonly string _path = section?.Path ?? HttpOptions.SectionName;

    /// <summary>Reads the certificate with its key.</summary>
    public static X509Certificate2 ReadCertificate(HttpOptions options) => X509Certificate2.CreateFromPemFile(options.CertificateFile!, options.CertificateKeyFile);

    /// <summary>Reads what stands in the certificate's file: itself, and what is between it and its root, which clients that know the root alone have to be sent.</summary>
    public static X509Certificate2Collection ReadCertificateChain(HttpOptions options)
    {
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(options.CertificateFile!);
        return chain;
    }

    /// <inheritdoc/>
    public void Configure(HttpOptions options)
    {
        if (section is not null)
        {
            _ = SectionReader.Read(section, options);
        }
    }

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, HttpOptions options)
    {
        // Read once more, for what is wrong: the options at hand have only what is right.
        var problems = section is null ? [] : SectionReader.Read(section, new HttpOptions()).ToList();
        foreach (var property in SectionReader.PropertiesOf(typeof(HttpOptions)))
        {
            if (property.GetCustomAttribute<RangeAttribute>() is { } range && !range.IsValid(property.GetValue(options)))
            {
                problems.Add($"{At(property.Name)}: {property.GetValue(options)} is not between {range.Minimum} and {range.Maximum}");
            }
        }

        for (var i = 0; i < options.AllowedHosts.Count; i++)
        {
            if (!HostGuard.IsName(options.AllowedHosts[i]))
            {
                problems.Add($"{At(nameof(HttpOptions.AllowedHosts))}:{i}: {Quoted.Name(options.AllowedHosts[i])} is no host such as models.example.org, *.example.org, 10.0.0.7, [fd00::7] or *; ports are left out, and other letters are written as xn--");
            }
        }

        var token = TokenFile.Read(options, out var tokenProblem);
        if (options.RequireTokenForReads && token is null && tokenProblem is null)
        {
            problems.Add($"{At(nameof(HttpOptions.RequireTokenForReads))}: there is no token that reads could need: set {nameof(HttpOptions.TokenFile)}, or the variable {ServerConfiguration.TokenVariable}");
        }

        if (tokenProblem is not null)
        {
            problems.Add($"{At(options.TokenFile is null ? nameof(HttpOptions.Token) : nameof(HttpOptions.TokenFile))}: {tokenProblem}");
        }

        if (options.CertificateFile is not null)
        {
            ValidateCertificate(options, problems);
        }
        else if (options.CertificateKeyFile is not null)
        {
            problems.Add($"{At(nameof(HttpOptions.CertificateKeyFile))}: there is a key and no {nameof(HttpOptions.CertificateFile)}");
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private void ValidateCertificate(HttpOptions options, List<string> problems)
    {
        try
        {
            ReadCertificate(options).Dispose();
            foreach (var certificate in ReadCertificateChain(options))
            {
                certificate.Dispose();
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            problems.Add($"{At(nameof(HttpOptions.CertificateFile))}: the certificate or its key cannot be read: {Quoted.Plain(exception.Message)}");
        }
    }

    private string At(string key) => $"{_path}:{key}";
}
